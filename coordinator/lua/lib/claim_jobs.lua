-- Gives a worker up to `wanted` jobs, the first by rank over all its queues. A candidate with needs is checked once
-- more and takes its resources here; until this moment a more urgent request could displace it.
--@include lib/settle_lines
--@include lib/idle
-- How often one claim looks at the queues again after it found jobs that could not be claimed.
local MAX_LOOKS = 8

-- The best ready jobs over several queues: each queue's head, merged by rank.
local function best(ctx, queues, wanted)
  local found = {}
  for _, queue in ipairs(queues) do
    local head = redis.call('ZRANGE', ctx.p .. K_READY .. queue, 0, wanted - 1, 'WITHSCORES')
    local last = #head == 2 * wanted and tonumber(head[#head])
    for i = 1, #head, 2 do
      found[#found + 1] = { id = head[i], rank = tonumber(head[i + 1]), queue = queue, last = last }
    end
  end
  if #queues > 1 then
    table.sort(found, function(a, b) return a.rank < b.rank or (a.rank == b.rank and a.id < b.id) end)
  end
  return found
end

-- The last look at a candidate. One that cannot be claimed after all ends or steps back here.
local function claimable(ctx, r)
  local late = out_of_time(ctx, r)
  if late then
    finish(ctx, r, 'expire', 'why', late)
    return false
  end
  if r.needs and not its_turn(ctx, r) then
    withdraw(ctx, r)
    return false
  end
  return true
end

-- When the lease of a claim ends by itself: the run timeout (with room for the worker to report it first), the total
-- deadline, or the longest hold of a resource.
local function lease_end(ctx, r, hold_ms)
  local expires = r.run_ms and ctx.now + r.run_ms + ctx.session_ms or (r.needs and ctx.now + hold_ms)
  if r.end_by and (not expires or r.end_by < expires) then
    expires = r.end_by
  end
  return expires
end

-- What the worker is told of a job it has been given; the last word is how many ms it waited since it was last put in.
local function describe(ctx, r)
  return { r.id, r.fence, r.name, r.queue, r.priority, tonumber(r.attempts or 0), tonumber(r.deliveries),
    r.run_ms and text(r.run_ms) or '', r.retry or '', needs_text(ctx, r),
    r.note and redis.call('HGET', ctx.p .. K_NOTE .. r.id, 'metadata') or '', payload_of(ctx, r) or '',
    r.dedup or '', math.max(0, tonumber(r.since) - math.floor((r.stamp or 0) / 1000)) }
end

local function hand_out(ctx, r, session, hold_ms)
  local fence, expires = text(draw(ctx)), lease_end(ctx, r, hold_ms)
  if r.wait_by or r.end_by then
    redis.call('ZREM', ctx.p .. K_DEADLINES, r.id)
    redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'wait_by')
    r.wait_by = nil
  end
  if ctx.offered[r.id] then
    -- It became ready and was claimed in one script: nobody needs to be rung for it.
    ctx.bells[r.queue] = ctx.bells[r.queue] - 1
  end
  take(ctx, r, session, fence, expires)
  step_out(ctx, r)
  if expires then
    redis.call('ZADD', ctx.p .. K_DEADLINES, text(expires), r.id)
  end
  if r.scope == 'until_started' then
    free_dedup(ctx, r)
  end
  r.fence, r.session, r.deliveries, r.since = fence, session, tonumber(r.deliveries or 0) + 1, text(ctx.now)
  move(ctx, r, 'claim', 'session', session, 'fence', fence, 'since', r.since, 'deliveries', r.deliveries)
  return describe(ctx, r)
end

-- One look at the heads of the queues. Returns how many of them could not be claimed; they have left the ready set.
-- Behind such a head its queue may go on with jobs better than the next of another queue: the look ends before those.
local function claim_some(ctx, jobs, session, wanted, hold_ms, queues)
  local dropped, known, gone, given = 0, math.huge, {}, {}
  for _, found in ipairs(best(ctx, queues, wanted - #jobs)) do
    if #jobs == wanted or found.rank > known then
      break
    end
    local r = load(ctx, found.id)
    gone[found.queue] = gone[found.queue] or {}
    table.insert(gone[found.queue], found.id)
    if r and r.state == 'ready' and claimable(ctx, r) then
      jobs[#jobs + 1] = hand_out(ctx, r, session, hold_ms)
      given[#given + 1] = r.id
    else
      dropped, known = dropped + 1, math.min(known, found.last or known)
    end
  end
  -- All at once: a command for each would be a third of the time of a claim.
  for queue, ids in pairs(gone) do
    redis.call('ZREM', ctx.p .. K_READY .. queue, unpack(ids))
  end
  if #given > 0 then
    redis.call('SADD', ctx.p .. K_OWNS .. session, unpack(given))
  end
  return dropped
end

local function claim_jobs(ctx, session, wanted, hold_ms, queues)
  local jobs, dropped, looks = {}, 1, 0
  while #jobs < wanted and dropped > 0 and looks < MAX_LOOKS do
    dropped, looks = claim_some(ctx, jobs, session, wanted, hold_ms, queues), looks + 1
    settle_lines(ctx)
  end
  note_idle(ctx, session, queues, #jobs < wanted)
  -- Others may lie behind those that could not be claimed; whoever is idle, this worker too, is rung for them.
  for _, queue in ipairs(#jobs < wanted and dropped > 0 and queues or {}) do
    ctx.bells[queue] = math.max(ctx.bells[queue] or 0, redis.call('ZCARD', ctx.p .. K_READY .. queue))
  end
  return jobs
end
