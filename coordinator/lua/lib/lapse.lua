-- Takes back what a dead session or an elapsed clock leaves behind: a waiting lock request is cancelled, a held lock
-- is lost, a running job goes back to its place in line, unless it was cancelled, its deadline has passed, or it has
-- taken down too many workers.
--@include lib/finish
--@include lib/enqueue
--@include lib/rerun
local function bury(ctx, r, why)
  finish(ctx, r, 'bury', 'why', why, 'crashes', r.crashes)
end

local function lapse(ctx, r, why)
  local owner = r.session
  if r.state == 'waiting' then
    finish(ctx, r, 'cancel', 'why', why)
  elseif r.state == 'held' then
    finish(ctx, r, 'lose', 'why', why)
    send(ctx, owner, 'lost ' .. r.id .. ' ' .. r.fence)
  elseif r.state == 'running' then
    send(ctx, owner, 'lost ' .. r.id .. ' ' .. r.fence)
    r.crashes = r.crashes + 1
    if out_of_time(ctx, r) then
      finish(ctx, r, 'expire', 'why', 'deadline')
    elseif r.cancel then
      finish(ctx, r, 'cancel', 'why', r.cancel, 'crashes', r.crashes)
    elseif r.crashes >= ctx.max_crashes then
      bury(ctx, r, why .. ', ' .. r.crashes .. ' times')
    elseif superseded(ctx, r) then
      finish(ctx, r, 'cancel', 'why', 'superseded by a newer one', 'crashes', r.crashes)
    else
      leave_place(ctx, r)
      move(ctx, r, 'crash', 'crashes', r.crashes, 'why', why)
      redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'session', 'since', 'started', 'expires')
      enqueue(ctx, r)
    end
  end
end
