-- Changes settings of the running fleet, all that are given or none.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] id of this call
-- ARGV[3] version that the change was checked against
-- ARGV[4] who makes it
-- ARGV[5] the terms that are the fleet's then, as `<name>=<number>` words, or empty
-- ARGV[6...] name and value pairs; an empty value takes a setting back
-- reply: ok <version>
-- reply: changed <version>
-- Keeps: nothing is written over what the caller has not seen; a repeated call answers as the first did. Versions keep
-- growing when the server forgets its newest writes, for they are never behind the clock. The fleet's terms stand in `meta`,
-- so they hold with the next call of anybody.
--@include lib/emit
--@include lib/commit
local MOST_SHOWN = 200
local ctx = open(KEYS[1], ARGV[1])
local config = ctx.p .. K_CONFIG
local kept = redis.call('HMGET', config, ':version', ':call')
local version = kept[1] or '0'
if kept[2] == ARGV[2] then
  return { 'ok', version }
elseif version ~= ARGV[3] then
  return { 'changed', version }
end
version = text(math.max(tonumber(version) + 1, ctx.now))
if ARGV[5] ~= '' then
  redis.call('HSET', ctx.meta, 'terms', ARGV[5])
else
  redis.call('HDEL', ctx.meta, 'terms')
end
redis.call('HSET', config, ':version', version, ':call', ARGV[2])
for i = 6, #ARGV, 2 do
  local name, value = ARGV[i], ARGV[i + 1]
  local was = redis.call('HGET', config, name) or ''
  if was ~= value then
    if value == '' then
      redis.call('HDEL', config, name)
    else
      redis.call('HSET', config, name, value)
    end
    emit(ctx, 'configure', name, 'value', string.sub(value, 1, MOST_SHOWN), 'was', string.sub(was, 1, MOST_SHOWN),
      'by', ARGV[4], 'version', version)
  end
end
commit(ctx)
return { 'ok', version }
