-- What the fleet has learnt of some handlers from how their runs ended.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2...] names of handlers
-- reply: ok <now ms> [<field> <value>...]...
-- Keeps: nothing is written; what is not known is an empty list.
--@flags no-writes
--@include lib/context
local MOST = 64
local ctx = open(KEYS[1], ARGV[1])
local reply = { 'ok', text(ctx.now) }
for i = 2, math.min(#ARGV, MOST + 1) do
  reply[#reply + 1] = redis.call('HGETALL', ctx.p .. K_HANDLER .. ARGV[i])
end
return reply
