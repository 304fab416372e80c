-- How adaptive timeouts stand, and what they follow from. How long locks are held is told of by name only.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] how many at most
-- ARGV[3...] names; none for all
-- reply: ok <now ms> [<thing>]... ; thing: [name, ms when it was last seen, [<field> <value>...], [<field> <count>...]]
-- Keeps: nothing is written; what is not known is left out.
--@flags no-writes
--@include lib/context
local MAX_READ = 511
local ctx = open(KEYS[1], ARGV[1])
local all, names = ctx.p .. K_TIMEOUTS, {}
for i = 3, #ARGV do
  names[#names + 1] = ARGV[i]
end
if #names == 0 then
  for _, name in ipairs(redis.call('ZREVRANGE', all, 0, MAX_READ)) do
    names[#names + 1] = string.sub(name, 1, 5) ~= 'hold/' and name or nil
  end
end
local reply = { 'ok', text(ctx.now) }
for i = 1, math.min(#names, tonumber(ARGV[2])) do
  local seen = redis.call('ZSCORE', all, names[i])
  local fields = redis.call('HGETALL', ctx.p .. K_TIMEOUT .. names[i])
  if seen and fields[1] then
    reply[#reply + 1] = { names[i], seen, fields, redis.call('HGETALL', ctx.p .. K_TIMINGS .. names[i]) }
  end
end
return reply
