-- Ends a session in good order: held locks are released, waiting requests cancelled, running jobs handed back.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- reply: ok <holdings left for another call>
-- Keeps: a process that leaves on purpose leaves nothing behind and burns no attempt.
--@flags allow-oom
--@include lib/reap
--@include lib/owner
--@include lib/give_up
--@include lib/settle_lines
--@include lib/stranded
--@include lib/commit
local ctx, session = open(KEYS[1], ARGV[1]), ARGV[2]
-- It takes no more jobs, and is not to be rung for those that this call hands back.
idle.leave(ctx, session)
local left = reap.session(ctx, session, function(_, r)
  give_up(ctx, r, 'session closed')
end)
-- What is left must not lapse, which would cost its jobs an attempt, while it is given back.
if left > 0 and live(ctx, session) then
  renew(ctx, session)
end
settle_lines(ctx)
-- It may have been rung for a job that it now leaves to others.
ring_stranded(ctx)
commit(ctx)
return { 'ok', left }
