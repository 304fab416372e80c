-- Gives a worker up to `wanted` ready jobs, the first by rank over all its queues. A candidate with needs is checked once
-- more and takes its resources here; until this moment a more urgent request could displace it.
--@include lib/settle_lines
--@include lib/gated
--@include lib/hand_out
--@include lib/turns
-- How often one claim looks at the queues again after it found jobs that could not be claimed, and at how many heads at
-- least while gates may hold them up.
local MAX_LOOKS, LEAST_HEADS = 8, 32

-- The best ready jobs over several queues: each queue's head, merged by rank.
local function merged_heads(ctx, queues, wanted)
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

-- The next of them. Behind one that was not handed out its queue may go on with jobs better than the next of another queue:
-- the look ends before those.
local function head_by_rank(order, last, claimed)
  if last and not claimed then
    order.known = math.min(order.known, last.last or order.known)
  end
  order.at = order.at + 1
  local found = order.heads[order.at]
  return found and found.rank <= order.known and found or nil
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
  local closed = closed_gate(ctx, r)
  if closed then
    hold_at(ctx, r, closed)
  end
  return not closed
end

-- Where it will be taken out of.
local function note_gone(ctx, gone, found, r)
  local keys = { K_READY .. found.queue }
  if is_shared(ctx, found.queue) then
    keys[2] = found.class or class_of(found.queue, r and r.priority)
  end
  for _, key in ipairs(keys) do
    gone[key] = gone[key] or {}
    table.insert(gone[key], found.id)
  end
end

-- One look at the heads of the queues. Returns how many of them could not be claimed; they have left the ready set.
-- Whether there are others is only known if one more head is looked at than is `wanted`.
local function claim_some(ctx, jobs, session, wanted, hold_ms, queues, roomy)
  local dropped, gone, given = 0, {}, {}
  ctx.run = {}
  local looked = wanted - #jobs + (roomy and 1 or 0)
  local heads = ctx.gates and math.max(LEAST_HEADS, looked) or looked
  local turns = queues.shared and turns_of(ctx, queues, heads)
  local order = not turns and { heads = merged_heads(ctx, queues, heads), at = 0, known = math.huge }
  local found = turns and head_in_turn(turns) or order and head_by_rank(order)
  while found do
    local r = load(ctx, found.id)
    note_gone(ctx, gone, found, r)
    local claimed = r and r.state == 'ready' and claimable(ctx, r)
    if claimed then
      jobs[#jobs + 1] = hand_out(ctx, r, session, hold_ms)
      given[#given + 1] = r.id
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
