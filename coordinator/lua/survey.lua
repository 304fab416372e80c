-- What the namespace looks like: its resources page by page, its queues, its sessions, and its counters.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] resources after this one in order of name, or empty for the first page
-- ARGV[3] how many resources
-- ARGV[4] only resources whose name begins with this, or empty for all
-- reply: ok <now ms> [<resource>]... [<queue>]... [<session>]... [<counter> <value>...] ; resource: [name, capacity, line length, [<request id> <holder>...], [<field> <value>...] of what was defined]; queue: [name, ready, waiting, idle workers]; session: [id, expires ms, [<field> <value>...]]
-- Keeps: nothing is written, and each call does bounded work.
--@flags no-writes
--@include lib/context
--@include lib/usage
local MAX_LISTED = 200
local ctx = open(KEYS[1], ARGV[1])
local resources, queues, sessions = {}, {}, {}
local from = ARGV[2] == '' and '[' .. ARGV[4] or '(' .. ARGV[2]
-- Names are ASCII here, so this byte comes after every name that goes on from the prefix.
local to = ARGV[4] == '' and '+' or '(' .. ARGV[4] .. '\255'
for _, name in ipairs(redis.call('ZRANGEBYLEX', ctx.p .. K_RESOURCES, from, to, 'LIMIT', 0, ARGV[3])) do
  local holders = ctx.p .. K_HOLDERS .. name
  resources[#resources + 1] = { name, capacity(ctx, name), redis.call('ZCARD', ctx.p .. K_LINE .. name),
    redis.call('HLEN', holders) <= MAX_LISTED and redis.call('HGETALL', holders) or {},
    ctx.defined and redis.call('HGETALL', ctx.p .. K_DEF .. name) or {} }
end
for _, name in ipairs(redis.call('SRANDMEMBER', ctx.p .. K_QUEUES, MAX_LISTED)) do
  queues[#queues + 1] = { name, redis.call('ZCARD', ctx.p .. K_READY .. name),
    redis.call('ZCARD', ctx.p .. K_WAITING .. name), redis.call('ZCARD', ctx.p .. K_IDLE .. name) }
end
local live_ones = redis.call('ZRANGE', ctx.p .. K_SESSIONS, 0, MAX_LISTED - 1, 'WITHSCORES')
for i = 1, #live_ones, 2 do
  sessions[#sessions + 1] = { live_ones[i], live_ones[i + 1], redis.call('SCARD', ctx.p .. K_OWNS .. live_ones[i]),
    redis.call('HGETALL', ctx.p .. K_SESSION .. live_ones[i]) }
end
return { 'ok', text(ctx.now), resources, queues, sessions, redis.call('HGETALL', ctx.p .. K_STATS),
  redis.call('ZCARD', ctx.p .. K_SCHEDULED), redis.call('ZCARD', ctx.p .. K_DEAD) }
