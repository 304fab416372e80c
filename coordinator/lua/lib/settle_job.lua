-- Applies one outcome, if its fence is the job's newest one. A repeated report answers as the first did; a report
-- under an older fence, or for a job that was taken back, is `stale` and changes nothing.
--@include lib/finish
--@include lib/enqueue
--@include lib/rerun
local EVENTS = { succeeded = 'succeed', failed = 'fail', cancelled = 'cancel', dead = 'bury' }

local function end_job(ctx, r, outcome, value)
  local event = EVENTS[outcome]
  if outcome == 'succeeded' and value ~= '' then
    redis.call('SET', ctx.p .. K_RESULT .. r.id, value, 'PX', ctx.result_ms)
  end
  if outcome == 'succeeded' then
    finish(ctx, r, event, 'settled', r.fence)
  else
    finish(ctx, r, event, 'settled', r.fence, 'why', value)
  end
end

-- Gives up the lease without ending the job.
local function put_back(ctx, r, event, delay_ms, ...)
  if r.cancel then
    finish(ctx, r, 'cancel', 'settled', r.fence, 'why', r.cancel)
    return
  end
  if superseded(ctx, r) then
    finish(ctx, r, 'cancel', 'settled', r.fence, 'why', 'superseded by a newer one')
    return
  end
  leave_place(ctx, r)
  move(ctx, r, event, 'settled', r.fence, ...)
  redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'session', 'since', 'started', 'expires', 'progress')
  if event == 'give_back' then
    enqueue(ctx, r)
  else
    redis.call('ZADD', ctx.p .. K_SCHEDULED, text(ctx.now + delay_ms), r.id)
    watch_clock(ctx, r)
  end
end

-- A retry at once keeps the lease and all it holds: only the fence and the count move on. Returns the new fence.
local function run_again(ctx, r, attempts, why)
  local fence = text(draw(ctx))
  local expires = tonumber(redis.call('ZSCORE', ctx.p .. K_DEADLINES, r.id) or nil)
  local run_ms = tonumber(redis.call('HGET', ctx.p .. K_REQ .. r.id, 'run_ms') or nil)
  if run_ms then
    expires = math.min(r.end_by or math.huge, ctx.now + run_ms + ctx.session_ms)
    redis.call('ZADD', ctx.p .. K_DEADLINES, text(expires), r.id)
  end
  if r.needs then
    take(ctx, r, r.session, fence, expires)
  end
  move(ctx, r, 'again', 'settled', r.fence, 'fence', fence, 'again', fence, 'attempts', attempts, 'why', why,
    'since', text(ctx.now))
  redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'started')
  return fence
end

-- Attempts after this report: a start that was not noted yet counts now, one that is handed back does not count.
local function count_start(ctx, id, outcome)
  local v = redis.call('HMGET', ctx.p .. K_REQ .. id, 'attempts', 'started')
  local attempts = tonumber(v[1] or 0)
  if outcome == 'released' then
    return v[2] and attempts - 1 or attempts
  elseif not v[2] then
    attempts = attempts + 1
    redis.call('HSET', ctx.p .. K_REQ .. id, 'attempts', attempts)
  end
  return attempts
end

-- A job may meanwhile run somewhere else, under a later claim: only the fence of a retry at once is given out again.
local function repeated(ctx, r, fence)
  if r.settled ~= fence then
    return nil
  end
  local again = r.state == 'running' and redis.call('HGET', ctx.p .. K_REQ .. r.id, 'again')
  return { 'ok', again == r.fence and again or '' }
end

-- `value` is a result or a reason, `delay_ms` counts for retry and snooze.
local function settle_job(ctx, session, id, fence, outcome, delay_ms, value)
  local r = load(ctx, id)
  if not r then
    return { 'gone', '' }
  elseif r.state ~= 'running' or r.fence ~= fence or r.session ~= session then
    return repeated(ctx, r, fence) or { 'stale', r.state }
  end
  local attempts = count_start(ctx, id, outcome)
  if EVENTS[outcome] then
    end_job(ctx, r, outcome, value)
  elseif outcome == 'retry' and delay_ms == 0 and not r.cancel then
    return { 'ok', run_again(ctx, r, attempts, value) }
  elseif outcome == 'retry' then
    put_back(ctx, r, 'retry', delay_ms, 'why', value)
  elseif outcome == 'snooze' then
    put_back(ctx, r, 'snooze', delay_ms, 'attempts', attempts - 1)
  else
    put_back(ctx, r, 'give_back', 0, 'attempts', attempts)
  end
  return { 'ok', '' }
end
