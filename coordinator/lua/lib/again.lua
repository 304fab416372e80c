-- How a job goes on whose run is over and did not end it: it is put back, later or at once, or runs again as it stands.
--@include lib/finish
--@include lib/enqueue
--@include lib/health
--@include lib/rerun
--@include lib/run_again
--@include lib/admit
-- Attempts of a job that is over: all that were begun, whatever its handler says of the last.
local function attempts_begun(r, event)
  local attempts = tonumber(r.attempts or 0)
  return (event == 'give_back' or r.started) and attempts or attempts + 1
end

-- Gives up the lease without ending the job, unless somebody wants it to end.
local function put_back(ctx, r, event, attempts, delay_ms, ...)
  local over = r.cancel or (superseded(ctx, r) and 'superseded by a newer one')
  if over then
    finish(ctx, r, 'cancel', 'settled', r.fence, 'attempts', attempts_begun(r, event), 'why', over)
    return
  end
  leave_place(ctx, r)
  move(ctx, r, event, 'settled', r.fence, 'attempts', attempts, ...)
  redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'session', 'since', 'started', 'expires', 'progress')
  if event == 'give_back' then
    enqueue(ctx, r)
  else
    redis.call('ZADD', ctx.p .. K_SCHEDULED, text(ctx.now + delay_ms), r.id)
    watch_clock(ctx, r)
  end
end

-- A retry follows its policy, unless the budget of its handler has none left: then it waits for its turn.
local function retry(ctx, r, attempts, delay_ms, why)
  local wait, behind = 0, 0
  if not r.cancel then
    note_successes(ctx)
    wait, behind = spend_token(ctx, r.name)
  end
  if wait > delay_ms then
    local figures = string.format('%d %d %d %d', wait, behind, ctx.budget.share, ctx.budget.floor)
    ctx.stats.postponed = (ctx.stats.postponed or 0) + 1
    put_back(ctx, r, 'retry', attempts, wait, 'why', why, 'waited', text(wait), 'postponed', figures)
    return ''
  elseif delay_ms == 0 and not r.cancel and not closed_gate(ctx, r) then
    return run_again(ctx, r, attempts, why)
  end
  put_back(ctx, r, 'retry', attempts, delay_ms, 'why', why, 'waited', text(delay_ms))
  return ''
end
