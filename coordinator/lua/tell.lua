-- Tells anew what gates the jobs of a worker's handlers have to pass, for the settings they follow from have changed.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3...] handler and gates pairs
-- reply: ok
-- reply: session_lost
-- Keeps: the last that was told of a handler counts; a call that is repeated changes nothing more.
--@flags allow-oom
--@include lib/declare
--@include lib/commit
--@include lib/send
local ctx = open(KEYS[1], ARGV[1])
if not live(ctx, ARGV[2]) then
  return { 'session_lost' }
end
declare(ctx, { unpack(ARGV, 3) })
commit(ctx)
return { 'ok' }
