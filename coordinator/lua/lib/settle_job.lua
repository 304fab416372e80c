-- Applies one outcome, if its fence is the job's newest one. A repeated report answers as the first did; a report
-- under an older fence, or for a job that was taken back, is `stale` and changes nothing.
--@include lib/finish
--@include lib/again
--@include lib/run_ended
--@include lib/settle_plain
-- The byte of `@`.
local AT = 64
local COUNTS = { 'ok', '' }
local EVENTS = { succeeded = 'succeed', failed = 'fail', cancelled = 'cancel', dead = 'bury' }

local function end_job(ctx, r, outcome, attempts, value)
  local event = EVENTS[outcome]
  attempts = text(attempts)
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

-- What the end of a run says of its handler and its gates. An outcome that ends in `@<level>` ran out of time, and began
-- under that level of escalation. Returns the outcome as the job has it.
local function learn_from(ctx, r, said, delay_ms)
  if string.byte(said, -2) == AT then
    note_timeout(ctx, r.name, tonumber(string.sub(said, -1)))
    said = string.sub(said, 1, -3)
  end
  local outcome = run_ended(ctx, r, said, delay_ms)
  if r.waited and (outcome == 'succeeded' or outcome == 'failed' or outcome == 'retry') then
    note_retry(ctx, r, outcome == 'succeeded')
  end
  return outcome
end

-- A probe that failed because what it asks is still down costs its job no attempt (`excused` of `policy/breaker.py`): the
-- job comes back when the breaker has let somebody else try, and later each time. Not if it may only run once (`failed`
-- without a pause), and at most so often, for it may be its own fault. Returns whether that was so.
local MOST_EXCUSED, DOUBLINGS = 10, 4
local function excuse(ctx, r, outcome, attempts, delay_ms, why)
  local count = tonumber(r.excused or 0) + 1
  if not r.doubted or count > MOST_EXCUSED or not (outcome == 'retry' or outcome == 'failed' and delay_ms > 0) then
    return false
  end
  ctx.stats.excused = (ctx.stats.excused or 0) + 1
  local wait = r.doubted * 2 ^ math.min(count - 1, DOUBLINGS) + math.max(delay_ms, math.ceil(r.doubted / 8))
  put_back(ctx, r, 'retry', attempts - 1, wait, 'why', why, 'waited', '0', 'excused', text(count))
  return true
end

-- `value` is a result or a reason; `delay_ms` counts for retry, snooze, and a failure that may be excused.
local function settle_job(ctx, session, id, fence, outcome, delay_ms, value)
  local v = redis.call('HGETALL', ctx.p .. K_REQ .. id)
  if outcome == 'succeeded' and settle_plain.fits(v, session, fence) and (not ctx.gates or all_well(ctx, v[6])) then
    settle_plain.succeed(ctx, session, id, fence, v, value)
    return COUNTS
  end
  local r = load(ctx, id, v)
  if not r then
    return { 'gone', '' }
  elseif r.state ~= 'running' or r.fence ~= fence or r.session ~= session then
    return repeated(ctx, r, fence) or { 'stale', r.state }
  end
  if outcome ~= 'released' then
    end_wait(ctx, r)
  end
  outcome = learn_from(ctx, r, outcome, delay_ms)
  local attempts = attempts_after(r, outcome)
  if r.postponed then
    redis.call('HDEL', ctx.p .. K_REQ .. id, 'postponed')
  end
  if excuse(ctx, r, outcome, attempts, delay_ms, value) then
    return COUNTS
  elseif EVENTS[outcome] then
    end_job(ctx, r, outcome, attempts, value)
  elseif outcome == 'retry' then
    return { 'ok', retry(ctx, r, attempts, delay_ms, value) }
  elseif outcome == 'snooze' then
    put_back(ctx, r, 'snooze', attempts - 1, delay_ms, 'waited', '0', unpack(value ~= '' and { 'why', value } or {}))
  else
    put_back(ctx, r, 'give_back', attempts, 0)
  end
  return COUNTS
end
