-- Counts who has come to a latch or a barrier, and tells those who wait for it when enough have.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] name
-- ARGV[3] latch | barrier
-- ARGV[4] how many it takes
-- ARGV[5] ms that it is kept after the last call
-- ARGV[6] come | look | leave
-- ARGV[7] session that comes and is told, or empty
-- ARGV[8] id of who comes, or empty
-- ARGV[9] round that it came in, or empty
-- reply: open <round> <which of all that came to the barrier this one is, from 0; or empty>
-- reply: shut <round> <how many have come>
-- reply: mismatch <latch | barrier> <how many it takes>
-- reply: session_lost
-- Keeps: who comes is a member of a set, so a repeated call counts once; a latch stays open, a barrier shuts behind
--   each round; whose session has lapsed has not come to a barrier; each that came has a number of its own.
--@include lib/context
--@include lib/send
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local name, kind, wanted, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local act, session, id = ARGV[6], ARGV[7], ARGV[8]
if session ~= '' and not live(ctx, session) then
  return { 'session_lost' }
end
local key, watch = ctx.p .. K_GATHER .. name, ctx.p .. K_WATCH .. 'gather/' .. name
local v = redis.call('HMGET', key, 'kind', 'needed', 'round', 'open')
if v[1] and (v[1] ~= kind or v[2] ~= ARGV[4]) then
  return { 'mismatch', v[1], v[2] }
end
local round = tonumber(string.match(v[3] or '0', '^%d%d?%d?%d?%d?%d?%d?%d?%d?$') or 0)
-- Of a barrier the last round is kept beside the one that gathers, for those who ask once more.
local came, before = ctx.p .. K_CAME .. name .. ':' .. round % 2, ctx.p .. K_CAME .. name .. ':' .. (round + 1) % 2
local known, which = tonumber(ARGV[9]), not v[4] and id ~= '' and redis.call('HGET', before, id) or nil
-- Of the round before it is known who was in it; one who was left out of it as dead, and was not, has yet to come.
if v[4] or (known and known < round - 1) or which then
  return { 'open', ARGV[9] ~= '' and ARGV[9] or text(round), which or '' }
end

if act == 'come' then
  redis.call('HSET', key, 'kind', kind, 'needed', ARGV[4], 'round', text(round))
  redis.call('HSET', came, id, session)
elseif act == 'leave' then
  redis.call('HDEL', came, id)
end
local count, numbers = redis.call('HLEN', came), {}
if count >= wanted and kind == 'barrier' then
  local all = redis.call('HGETALL', came)
  for i = 1, #all, 2 do
    if live(ctx, all[i + 1]) then
      which = all[i] == id and text(#numbers / 2) or which
      numbers[#numbers + 1] = all[i]
      numbers[#numbers + 1] = text((#numbers - 1) / 2)
    else
      redis.call('HDEL', came, all[i])
      count = count - 1
    end
  end
end
if count >= wanted then
  if kind == 'latch' then
    redis.call('HSET', key, 'open', '1')
    redis.call('DEL', came)
  else
    redis.call('HSET', key, 'round', text(round + 1))
    redis.call('HSET', came, unpack(numbers))
    redis.call('DEL', before)
  end
  for _, waits in ipairs(redis.call('SMEMBERS', watch)) do
    send(ctx, waits, 'ended gather/' .. name .. ' open')
  end
  redis.call('DEL', watch)
elseif session ~= '' and act ~= 'leave' then
  redis.call('SADD', watch, session)
end
for _, each in ipairs({ key, came, before, watch }) do
  redis.call('PEXPIRE', each, ttl)
end
commit(ctx)
if count >= wanted then
  return { 'open', text(round), which or '' }
end
return { 'shut', text(round), text(count) }
