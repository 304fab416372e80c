-- Takes back what a dead session or an elapsed clock leaves behind: a waiting lock request is cancelled, a held lock
-- is lost, a running job goes back to its place in line, unless it was cancelled, its deadline has passed, or it has
-- taken down too many workers. Only a run can do that: a death under a job that had not begun is not counted. Where nobody
-- knows whether it had (starts are told with the next heartbeat), it is `unsure` from then on, and its workers put its
-- starts on record before they begin it; should such a run take its worker down, the first death counts with it.
--@include lib/finish
--@include lib/enqueue
--@include lib/rerun
--@include lib/frozen
local function bury(ctx, r, why)
  finish(ctx, r, 'bury', 'why', why, 'crashes', r.crashes)
end

-- `blameless`: whatever happened, it was not the job.
local function lapse(ctx, r, why, blameless)
  local owner, begun = r.session, r.started and not blameless
  if r.state == 'waiting' then
    finish(ctx, r, 'cancel', 'why', why)
    return
  end
  halts.delay(ctx, r, why)
  if r.state == 'held' then
    finish(ctx, r, 'lose', 'why', why)
    send(ctx, owner, 'lost ' .. r.id .. ' ' .. r.fence)
  elseif r.state == 'running' then
    send(ctx, owner, 'lost ' .. r.id .. ' ' .. r.fence)
    r.crashes = r.crashes + (begun and 1 or 0)
    local deaths = r.crashes + (r.unsure and 1 or 0)
    if out_of_time(ctx, r) then
      finish(ctx, r, 'expire', 'why', 'deadline')
    elseif r.cancel then
      finish(ctx, r, 'cancel', 'why', r.cancel, 'crashes', r.crashes)
    elseif begun and deaths >= ctx.max_crashes then
      bury(ctx, r, why .. ', ' .. deaths .. ' times')
    elseif superseded(ctx, r) then
      finish(ctx, r, 'cancel', 'why', 'superseded by a newer one', 'crashes', r.crashes)
    else
      local doubt = not (r.started or r.spare or blameless) and { 'unsure', '1' } or {}
      leave_place(ctx, r)
      move(ctx, r, 'crash', 'crashes', r.crashes, 'why', why, unpack(doubt))
      redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'session', 'since', 'started', 'expires')
      enqueue(ctx, r)
    end
  end
end
