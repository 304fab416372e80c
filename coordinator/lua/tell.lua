-- Tells anew what gates the jobs of a worker's handlers have to pass, and which settings of the fleet a process goes by.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] the version it goes by and what of it it cannot take over, as `<version>` or `<version> <complaints>`, or empty
-- ARGV[4...] handler and gates pairs
-- reply: ok
-- reply: session_lost
-- Keeps: the last that was told of a handler counts; a call that is repeated changes nothing more.
--@flags allow-oom
--@include lib/declare
--@include lib/emit
--@include lib/commit
--@include lib/send
local ctx = open(KEYS[1], ARGV[1])
if not live(ctx, ARGV[2]) then
  return { 'session_lost' }
end
local record = ctx.p .. K_SESSION .. ARGV[2]
local known = redis.call('HMGET', record, 'config', 'host', 'pid')
if ARGV[3] ~= '' and known[1] ~= ARGV[3] then
  redis.call('HSET', record, 'config', ARGV[3])
  if string.find(ARGV[3], ' ', 1, true) then
    emit(ctx, 'config_refused', ARGV[2], 'host', known[2] or '', 'pid', known[3] or '', 'said', ARGV[3])
  end
end
local gates = {}
for i = 4, #ARGV do
  gates[i - 3] = ARGV[i]
end
declare(ctx, gates, ARGV[2])
commit(ctx)
return { 'ok' }
