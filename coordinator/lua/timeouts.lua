-- How adaptive timeouts stand, and what they follow from; by name also how long locks are held.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] how many at most
-- ARGV[3...] names; none for all
-- reply: ok <now ms> [<thing>]... ; thing: [name, ms when it was last seen, [<field> <value>...], [<field> <count>...]]
-- Keeps: nothing is written; what is not known is left out.
--@flags no-writes
--@include lib/context
--@include lib/counted
local ctx = open(KEYS[1], ARGV[1])
local names = {}
for i = 3, #ARGV do
  names[#names + 1] = ARGV[i]
end
if #names == 0 then
  names = redis.call('ZREVRANGE', ctx.p .. K_TIMEOUTS, 0, tonumber(ARGV[2]) - 1)
end
local reply = { 'ok', text(ctx.now) }
for i = 1, math.min(#names, tonumber(ARGV[2])) do
  local seen = redis.call('ZSCORE', ctx.p .. counted_in(names[i]), names[i])
  local fields = redis.call('HGETALL', ctx.p .. K_TIMEOUT .. names[i])
  if seen and fields[1] then
    reply[#reply + 1] = { names[i], seen, fields, redis.call('HGETALL', ctx.p .. K_TIMINGS .. names[i]) }
  end
end
return reply
