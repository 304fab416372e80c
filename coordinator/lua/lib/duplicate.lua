-- What becomes of a submission whose dedup key is taken.
--@include lib/dedup
--@include lib/finish
--@include lib/payload
-- A duplicate that replaces: the newest payload wins while the job has not started.
local function replace(ctx, job, other)
  local fields = {}
  drop_payload(ctx, other)
  put_payload(ctx, other.id, job.payload, fields)
  if #fields > 0 then
    redis.call('HSET', ctx.p .. K_REQ .. other.id, unpack(fields))
  end
  emit(ctx, 'replace', other.id, 'by', job.id)
end

local function started(r)
  return r.state ~= 'scheduled' and r.state ~= 'waiting' and r.state ~= 'ready'
end

-- The job that has the key. One whose time ran out before it started ends first: nothing may join what will not run.
local function rival(ctx, key)
  local other = dedup_owner(ctx, key)
  local late = other and not started(other) and out_of_time(ctx, other)
  if late then
    local lane = other.state == 'scheduled' and K_SCHEDULED or K_READY .. other.queue
    finish(ctx, other, 'expire', 'why', late)
    if ctx.queued and ctx.queued[lane] then
      ctx.queued[lane] = ctx.queued[lane] - 1
    end
    ctx.wrote, other = true, dedup_owner(ctx, key)
  end
  return other
end

-- How a dedup key that is taken answers, or nil if the job may go in.
local function duplicate(ctx, job)
  local other = rival(ctx, job.dedup)
  if not other then
    return nil
  end
  if job.on_conflict == 'reject' then
    return { 'rejected', other.id, other.state }
  end
  ctx.wrote = true
  ctx.stats.join = (ctx.stats.join or 0) + 1
  local how = 'joined'
  if job.on_conflict ~= 'join' and not started(other) then
    replace(ctx, job, other)
    how = 'replaced'
  else
    emit(ctx, 'join', other.id, 'by', job.id)
  end
  redis.call('SET', ctx.p .. K_CALL .. job.id, other.id .. ' ' .. how, 'PX', 60000)
  return { 'duplicate', other.id, how }
end
