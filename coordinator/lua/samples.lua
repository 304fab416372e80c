-- Reads the metrics stream, the newest samples first, and how the alerts stand.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] of the last so many ms
-- ARGV[3] how many at most
-- ARGV[4] only those before this one of an earlier page, or empty
-- reply: ok <now ms> [<sample>]... [<alert> <standing>...] ; sample: [id, [<field> <value>...]]
-- Keeps: nothing is written, and each call does bounded work.
--@flags no-writes
--@include lib/context
local ctx = open(KEYS[1], ARGV[1])
local upto = ARGV[4] == '' and '+' or '(' .. ARGV[4]
local from = text(math.max(0, ctx.now - tonumber(ARGV[2])))
return { 'ok', text(ctx.now), redis.call('XREVRANGE', ctx.p .. K_METRICS, upto, from, 'COUNT', ARGV[3]),
  redis.call('HGETALL', ctx.p .. K_ALERTS) }
