-- One job's way in. `job` has the words the caller gave: needs, delay_ms, wait_ms, end_ms, run_ms, retry, dedup,
-- on_conflict, scope, ttl_ms, owner, reason, metadata.
--@include lib/ask
--@include lib/dedup
--@include lib/enqueue
--@include lib/finish
-- A duplicate that replaces: the newest payload wins while the job has not started.
local function replace(ctx, job, other)
  redis.call('HSET', ctx.p .. K_PAYLOADS, other.id, job.payload)
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
    finish(ctx, other, 'expire', 'why', late)
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

local function repeated_submit(ctx, job)
  local before = load(ctx, job.id)
  if before then
    local payload = redis.call('HGET', ctx.p .. K_PAYLOADS, job.id)
    if before.kind ~= 'job' or (payload and payload ~= job.payload and not before.dedup) then
      return { 'conflict', job.id, before.state }
    end
    return { 'accepted', job.id, before.state }
  end
  local memo = job.dedup and redis.call('GET', ctx.p .. K_CALL .. job.id)
  if memo then
    local id, how = string.match(memo, '^(%S+) (%S+)$')
    return { 'duplicate', id, how }
  end
end

-- `rerun` runs its jobs one after the other: they share a resource that only the key names.
local function with_key(job)
  local needs = job.needs or ''
  if job.on_conflict == 'rerun' then
    needs = (needs == '' and '' or needs .. ' ') .. 'x1:~dedup/' .. job.dedup
  end
  return needs
end

local function queue_full(ctx, job)
  local queued = redis.call('ZCARD', ctx.p .. K_READY .. job.queue)
  if job.delay_ms then
    queued = redis.call('ZCARD', ctx.p .. K_SCHEDULED)
  else
    queued = queued + redis.call('ZCARD', ctx.p .. K_WAITING .. job.queue)
  end
  return queued >= ctx.max_queue and { 'queue_full', job.queue, ctx.max_queue }
end

local function accept(ctx, r, job, needs)
  ctx.wrote = true
  r.stamp = draw(ctx)
  local note = record(ctx, r, needs, job.owner, job.reason, job.metadata)
  redis.call('HSET', ctx.p .. K_PAYLOADS, r.id, job.payload)
  redis.call('SADD', ctx.p .. K_QUEUES, r.queue)
  local delay, wait, whole = tonumber(job.delay_ms or 0), tonumber(job.wait_ms or nil), tonumber(job.end_ms or nil)
  r.wait_by, r.end_by = wait and ctx.now + delay + wait, whole and ctx.now + whole
  move(ctx, r, job.delay_ms and 'delay' or 'ask', 'kind', 'job', 'name', job.name, 'queue', r.queue,
    'priority', r.priority, 'stamp', text(r.stamp), unpack(optional({ needs = r.needs, run_ms = job.run_ms,
      retry = job.retry, dedup = job.dedup, scope = job.scope, on_conflict = r.on_conflict, wait_by = r.wait_by,
      end_by = r.end_by, note = note and '1' })))
  if r.dedup then
    claim_key(ctx, r, tonumber(job.ttl_ms or nil))
  end
  if job.delay_ms then
    redis.call('ZADD', ctx.p .. K_SCHEDULED, text(ctx.now + delay), r.id)
    watch_clock(ctx, r)
  else
    enqueue(ctx, r)
  end
  return { 'accepted', r.id, r.state }
end

local function submit_job(ctx, job)
  local answer = repeated_submit(ctx, job) or (job.dedup and duplicate(ctx, job)) or queue_full(ctx, job)
  if answer then
    return answer
  end
  local needs = with_key(job)
  local list = parse_needs(needs)
  local r = { id = job.id, kind = 'job', state = 'new', priority = job.priority, queue = job.queue,
    needs = #list > 0 and tostring(#list), needs_list = list, dedup = job.dedup, scope = job.scope,
    on_conflict = job.on_conflict == 'rerun' and 'rerun', crashes = 0 }
  return refused_needs(ctx, r, not job.delay_ms) or accept(ctx, r, job, needs)
end
