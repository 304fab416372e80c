-- Gives a worker up to `wanted` ready jobs, the first by rank over all its queues. A candidate with needs is checked once
-- more and takes its resources here; until this moment a more urgent request could displace it.
--@include lib/settle_lines
--@include lib/gated
--@include lib/hand_out
--@include lib/heads
--@include lib/plain_job
--@include lib/turns
-- How often one claim looks at the queues again after it found jobs that could not be claimed, and at how many heads at
-- least while gates may hold them up.
local MAX_LOOKS, LEAST_HEADS = 8, 32

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
  local closed = closed_gate(ctx, r)
  if closed then
    hold_at(ctx, r, closed)
  end
  return not closed
end

-- Where it will be taken out of.
local function put_down(gone, key, id)
  local ids = gone[key] or {}
  ids[#ids + 1], gone[key] = id, ids
end

local function note_gone(ctx, gone, found, priority)
  put_down(gone, K_READY .. found.queue, found.id)
  if is_shared(ctx, found.queue) then
    put_down(gone, found.class or class_of(found.queue, priority), found.id)
  end
end

-- A plain job that no gate is asked about any more.
local function claim_plain(ctx, id, v, session)
  local stats, passing = ctx.stats, ctx.gates and run.of(ctx, v[6], v[8])
  if passing then
    run.pass(passing)
  end
  if ctx.offered[id] then
    ctx.bells[v[8]] = ctx.bells[v[8]] - 1
  end
  local job, waited = plain_job.hand_out(ctx, session, id, v, text(draw(ctx)))
  stats.claim, stats.waited_ms = (stats.claim or 0) + 1, (stats.waited_ms or 0) + waited
  return job
end

-- What the worker is told of the job, or nothing: it could not be claimed.
local function claim_head(ctx, found, gone, session, hold_ms)
  local id, v = found.id, redis.call('HGETALL', ctx.p .. K_REQ .. found.id)
  if plain_job.is_new(v) and (not ctx.gates or run.of(ctx, v[6], v[8])) then
    note_gone(ctx, gone, found, 1)
    return claim_plain(ctx, id, v, session)
  end
  local r = load(ctx, id, v)
  note_gone(ctx, gone, found, r and r.priority)
  return r and r.state == 'ready' and claimable(ctx, r) and hand_out(ctx, r, session, hold_ms)
end

-- One look at the heads of the queues. Returns how many of them could not be claimed; they have left the ready set.
-- Whether there are others is only known if one more head is looked at than is `wanted`.
local function claim_some(ctx, jobs, session, wanted, hold_ms, queues, roomy)
  local dropped, gone, given = 0, {}, {}
  ctx.run = {}
  local looked = wanted - #jobs + (roomy and 1 or 0)
  local heads = ctx.gates and math.max(LEAST_HEADS, looked) or looked
  local turns = queues.shared and turns_of(ctx, queues, heads)
  local order = not turns and order_of(ctx, queues, heads)
  local found = turns and head_in_turn(turns) or order and head_by_rank(order)
  while found do
    local claimed = claim_head(ctx, found, gone, session, hold_ms)
    if claimed then
      jobs[#jobs + 1], given[#given + 1] = claimed, found.id
    else
      dropped = dropped + 1
    end
    if turns and claimed then
      pay(turns, found)
    end
    found = #jobs < wanted and (turns and head_in_turn(turns) or order and head_by_rank(order, found, claimed))
  end
  run.over(ctx)
  ctx.run = nil
  -- All at once: a command for each would be a third of the time of a claim.
  for key, ids in pairs(gone) do
    redis.call('ZREM', ctx.p .. key, unpack(ids))
  end
  if #given > 0 then
    redis.call('SADD', ctx.p .. K_OWNS .. session, unpack(given))
  end
  if turns then
    keep_turns(ctx, turns)
    return dropped, any_left(turns)
  end
  return dropped, #order.heads > #given + dropped
end

-- Returns whether there may be more behind those that could not be claimed, and whether there are others.
local function claim_ready(ctx, jobs, session, wanted, hold_ms, queues, roomy)
  local dropped, looks, others = 1, 0, false
  while #jobs < wanted and dropped > 0 and looks < MAX_LOOKS do
    dropped, others = claim_some(ctx, jobs, session, wanted, hold_ms, queues, roomy)
    looks = looks + 1
    settle_lines(ctx)
  end
  return dropped > 0, others
end
