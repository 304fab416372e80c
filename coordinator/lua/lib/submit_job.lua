-- One job's way in. `job` has the words the caller gave: needs, delay_ms, wait_ms, end_ms, run_ms, retry, dedup,
-- on_conflict, scope, ttl_ms, owner, reason, metadata, learnt, least_ms, rule, similar, preempt.
--@include lib/ask
--@include lib/crowd
--@include lib/duplicate
--@include lib/enqueue
--@include lib/shed
--@include lib/shrink_job
--@include lib/payload
--@include lib/kept_out
-- What of the caller's words goes into the record as it is.
local JOB_WORDS = { 'name', 'queue', 'run_ms', 'retry', 'dedup', 'scope', 'learnt', 'rule', 'similar', 'preempt' }

local function repeated_submit(ctx, job)
  -- Of one that stands in the call twice the second is looked up.
  local before = not ctx.fresh[job.id] and load(ctx, job.id)
  ctx.fresh[job.id] = nil
  if before then
    local payload = payload_of(ctx, before)
    if before.kind ~= 'job' or (payload and payload ~= job.payload and not before.dedup) then
      return { 'conflict', job.id, before.state }
    end
    return nil, true
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

local function first_fields(ctx, r, job, needs)
  local fields = record(ctx, r, needs, job.owner, job.reason, job.metadata)
  for _, name in ipairs(JOB_WORDS) do
    put(fields, name, job[name])
  end
  put(fields, 'on_conflict', r.on_conflict)
  put(fields, 'ttl_ms', job.scope == 'until_stale' and job.ttl_ms)
  put_payload(ctx, r.id, job.payload, fields)
  return fields
end

local function accept(ctx, r, job, needs)
  ctx.wrote = true
  local wait = shrink_job(ctx, r, job)
  if job.displaces then
    displace(ctx, job)
  end
  note_crowds(ctx, r)
  r.stamp = draw(ctx)
  local delay, whole = tonumber(job.delay_ms or 0), tonumber(job.end_ms)
  r.wait_by, r.end_by = wait and ctx.now + delay + wait, whole and ctx.now + whole
  r.first = first_fields(ctx, r, job, needs)
  count_in(ctx, job)
  if r.dedup then
    claim_key(ctx, r, tonumber(job.ttl_ms))
  end
  arrive(ctx, r, job.delay_ms and 'delay' or 'ask', 'name', job.name, 'queue', r.queue)
  if job.delay_ms then
    write(ctx, r)
    redis.call('ZADD', ctx.p .. K_SCHEDULED, text(ctx.now + delay), r.id)
    watch_clock(ctx, r)
  else
    if r.needs then
      write(ctx, r)
    end
    enqueue(ctx, r)
  end
end

-- Returns what became of it, or nil if it is in.
local function submit_job(ctx, job)
  local answer, there = repeated_submit(ctx, job)
  answer = answer or (not there and ((job.dedup and duplicate(ctx, job))
    or kept_out(ctx, job)))
  if answer or there then
    return answer or nil
  end
  local needs = with_key(job)
  local r = { id = job.id, kind = 'job', state = 'new', priority = job.priority, queue = job.queue,
    needs_list = needs ~= '' and parse_needs(needs) or {}, dedup = job.dedup, scope = job.scope,
    on_conflict = job.on_conflict == 'rerun' and 'rerun', crashes = 0 }
  return refused_needs(ctx, r, not job.delay_ms) or accept(ctx, r, job, needs)
end
