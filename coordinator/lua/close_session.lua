-- Ends a session in good order: held locks are released, waiting requests cancelled, running jobs handed back.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- reply: ok <holdings left for another call>
-- Keeps: a process that leaves on purpose leaves nothing behind and burns no attempt.
--@flags allow-oom
--@include lib/sweep
--@include lib/settle_job
--@include lib/commit
local function give_up(ctx, r)
  if r.state == 'held' then
    finish(ctx, r, 'release')
  elseif r.state == 'waiting' then
    finish(ctx, r, 'cancel', 'why', 'session closed')
  else
    settle_job(ctx, r.session, r.id, r.fence, 'released', 0, '')
  end
end

local ctx = open(KEYS[1], ARGV[1])
local left = reap_session(ctx, ARGV[2], give_up)
settle_lines(ctx)
-- It may have been rung for a job that it now leaves to others.
ring_stranded(ctx)
commit(ctx)
return { 'ok', left }
