-- Applies one outcome, if its fence is the job's newest one. A repeated report answers as the first did; a report
-- under an older fence, or for a job that was taken back, is `stale` and changes nothing.
--@include lib/finish
--@include lib/enqueue
--@include lib/rerun
--@include lib/budget
--@include lib/run_again
--@include lib/run_ended
--@include lib/admit
local EVENTS = { succeeded = 'succeed', failed = 'fail', cancelled = 'cancel', dead = 'bury' }

local function end_job(ctx, r, outcome, attempts, value)
  local event = EVENTS[outcome]
  if outcome == 'succeeded' and value ~= '' then
    redis.call('SET', ctx.p .. K_RESULT .. r.id, value, 'PX', math.max(ctx.result_ms, r.ttl_ms or 0))
  end
  if outcome == 'succeeded' then
    note_success(ctx, r.name)
    finish(ctx, r, event, 'settled', r.fence, 'attempts', attempts)
  else
    finish(ctx, r, event, 'settled', r.fence, 'attempts', attempts, 'why', value)
  end
end

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

-- Attempts after this report: a start that was not noted yet counts now, one that is handed back does not count.
local function attempts_after(r, outcome)
  local attempts = tonumber(r.attempts or 0)
  if outcome == 'released' then
    return r.started and attempts - 1 or attempts
  end
  return r.started and attempts or attempts + 1
end

-- A job may meanwhile run somewhere else, under a later claim: only the fence of a retry at once is given out again.
local function repeated(ctx, r, fence)
  if r.settled ~= fence then
    return nil
  end
  return { 'ok', r.state == 'running' and r.again == r.fence and r.again or '' }
end

-- A retry follows its policy, unless the budget of its handler has none left: then it waits for its turn.
local function retry(ctx, r, attempts, delay_ms, why)
  local wait, behind = 0, 0
  if not r.cancel then
    wait, behind = spend_token(ctx, r.name)
  end
  if wait > delay_ms then
    local figures = string.format('%d %d %d %d', wait, behind, ctx.budget.share, ctx.budget.floor)
    ctx.stats.postponed = (ctx.stats.postponed or 0) + 1
    put_back(ctx, r, 'retry', attempts, wait, 'why', why, 'postponed', figures)
    return ''
  elseif delay_ms == 0 and not r.cancel and not closed_gate(ctx, r) then
    return run_again(ctx, r, attempts, why)
  end
  put_back(ctx, r, 'retry', attempts, delay_ms, 'why', why)
  return ''
end

-- `value` is a result or a reason, `delay_ms` counts for retry and snooze.
local function settle_job(ctx, session, id, fence, outcome, delay_ms, value)
  local r = load(ctx, id)
  if not r then
    return { 'gone', '' }
  elseif r.state ~= 'running' or r.fence ~= fence or r.session ~= session then
    return repeated(ctx, r, fence) or { 'stale', r.state }
  end
  outcome = run_ended(ctx, r, outcome, delay_ms)
  local attempts = attempts_after(r, outcome)
  if r.postponed then
    redis.call('HDEL', ctx.p .. K_REQ .. id, 'postponed')
  end
  if EVENTS[outcome] then
    end_job(ctx, r, outcome, attempts, value)
  elseif outcome == 'retry' then
    return { 'ok', retry(ctx, r, attempts, delay_ms, value) }
  elseif outcome == 'snooze' then
    put_back(ctx, r, 'snooze', attempts - 1, delay_ms, unpack(value ~= '' and { 'why', value } or {}))
  else
    put_back(ctx, r, 'give_back', attempts, 0)
  end
  return { 'ok', '' }
end
