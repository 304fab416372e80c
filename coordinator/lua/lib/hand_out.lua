-- Gives one job to a worker, with all it needs.
--@include lib/finish
--@include lib/admit
-- When the lease of a claim ends by itself: the run timeout (with room for the worker to report it first), the total
-- deadline, or the longest hold of a resource.
local function lease_end(ctx, r, hold_ms)
  local expires = r.run_ms and ctx.now + r.run_ms + ctx.session_ms or (r.needs and ctx.now + hold_ms)
  if r.end_by and (not expires or r.end_by < expires) then
    expires = r.end_by
  end
  return expires and math.min(expires, ctx.now + defined.held_for(ctx, r, math.huge))
end

-- A run ends before the longest hold of what it needs does, so that its worker can still report it.
local function run_limit(ctx, r)
  local longest = defined.held_for(ctx, r, math.huge)
  if longest < math.huge then
    return math.min(r.run_ms or math.huge, longest - math.floor(math.min(ctx.session_ms, longest / 4)))
  end
  return r.run_ms
end

-- From whom the lease of a job was taken, if it was: a later lease is another matter.
local function robbed_of(r)
  local fence, victim = string.match(r.stolen, '^(%S+) (%S+)$')
  return fence and fence == r.fence and victim or nil
end

-- What the worker is told of a job it has been given. The last words are how many ms it waited since it was last put in;
-- from which session it was taken, which most were not; and 1 if its start is to be on record first, which few need.
local function describe(ctx, r)
  local stolen = r.stolen and robbed_of(r)
  local run_ms = run_limit(ctx, r)
  return { r.id, r.fence, r.name, r.queue, r.priority, tonumber(r.attempts or 0), tonumber(r.deliveries),
    run_ms and text(run_ms) or '', r.retry or '', needs_text(ctx, r),
    r.note and redis.call('HGET', ctx.p .. K_NOTE .. r.id, 'metadata') or '', payload_of(ctx, r) or '',
    r.dedup or '', math.max(0, tonumber(r.since) - math.floor((r.stamp or 0) / 1000)), stolen or (r.unsure and '' or nil),
    r.unsure and '1' or nil }
end

-- The thief is told, and the record, and whoever follows the events.
local function note_theft(ctx, r, victim)
  r.stolen = r.fence .. ' ' .. victim
  redis.call('HSET', ctx.p .. K_REQ .. r.id, 'stolen', r.stolen)
  ctx.stats.stolen = (ctx.stats.stolen or 0) + 1
  emit(ctx, 'stolen', r.id, 'queue', r.queue, 'from', victim, 'to', r.session, 'fence', r.fence)
end

local function hand_out(ctx, r, session, hold_ms)
  local fence, expires = text(draw(ctx)), lease_end(ctx, r, hold_ms)
  if r.wait_by or r.end_by then
    -- The end of its wait stays in the record: what is given back before it began waits on.
    redis.call('ZREM', ctx.p .. K_DEADLINES, r.id)
  end
  if ctx.offered[r.id] then
    -- It became ready and was claimed in one script: nobody needs to be rung for it.
    ctx.bells[r.queue] = ctx.bells[r.queue] - 1
  end
  pass_gates(ctx, r, fence)
  take(ctx, r, session, fence, expires)
  step_out(ctx, r)
  if expires then
    redis.call('ZADD', ctx.p .. K_DEADLINES, text(expires), r.id)
  end
  if r.scope == 'until_started' then
    free_dedup(ctx, r)
  end
  r.fence, r.session, r.deliveries, r.since = fence, session, tonumber(r.deliveries or 0) + 1, now_text(ctx)
  move(ctx, r, 'claim', 'session', session, 'fence', fence, 'since', r.since, 'deliveries', text(r.deliveries))
  if ctx.robbed and ctx.robbed[r.id] then
    note_theft(ctx, r, ctx.robbed[r.id])
  end
  return describe(ctx, r)
end
