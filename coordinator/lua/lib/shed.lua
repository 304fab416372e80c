-- Which jobs a queue that fills up lets in: beyond the soft limit not the less urgent ones, and in a full queue a more
-- urgent one in place of the last of those that are less so. Nobody displaces more than one.
--@include lib/finish
--@include lib/overload
--@include lib/queue_level
--@include lib/room
--@include lib/offers
-- Jobs that a call looks at, in all, for those that can be displaced, and in one command.
local MAX_LOOKS, PAGE = 256, 16
-- What one call displaces: a job counts as one, and one more for each line that it leaves.
local MAX_DISPLACED = 64

-- What a refused or displaced job is told: how many are there, the limit, below how many such jobs are let in again, for
-- how many ms the one in the middle has waited, and how many stand before it.
local function figures(ctx, queue, priority, rank)
  write_offers(ctx)
  local ready = ctx.p .. K_READY .. queue
  local waiting = ctx.p .. K_WAITING .. queue
  local fuller = ctx.p .. K_READY .. queue
  local size, count = redis.call('ZCARD', ready), queued(ctx, { queue = queue })
  if size < count / 2 then
    fuller, size = waiting, count - size
  end
  local middle = redis.call('ZRANGE', fuller, math.floor(size / 2), math.floor(size / 2))[1]
  local stamp = middle and redis.call('HGET', ctx.p .. K_REQ .. middle, 'stamp')
  local waited = math.floor(math.max(0, ctx.us - (tonumber(stamp or nil) or ctx.us)) / 1000)
  local band = ctx.bands[priority + 1]
  return { count, ctx.max_queue, band and band.ends or ctx.max_queue, waited,
    redis.call('ZCOUNT', ready, '-inf', '(' .. rank) + redis.call('ZCOUNT', waiting, '-inf', '(' .. rank) }
end

-- The last of the ready jobs, or of those that wait for resources, that is less urgent than `priority`, and its rank. How
-- many at the end are not is remembered.
local function last_below(ctx, family, queue, priority)
  local key = ctx.p .. K_READY .. queue
  if family == 'waiting' then
    key = ctx.p .. K_WAITING .. queue
  end
  ctx.passed = ctx.passed or {}
  local passed = ctx.passed[priority] or {}
  ctx.passed[priority] = passed
  while ctx.shed_looks < MAX_LOOKS do
    local at = passed[key] or 0
    local page = redis.call('ZREVRANGE', key, at, at + PAGE - 1, 'WITHSCORES')
    for i = 1, #page, 2 do
      ctx.shed_looks = ctx.shed_looks + 1
      if tonumber(redis.call('HGET', ctx.p .. K_REQ .. page[i], 'priority') or 1) < priority then
        return page[i], tonumber(page[i + 1])
      end
      passed[key] = (passed[key] or 0) + 1
    end
    if #page < 2 * PAGE then
      return nil, -1
    end
  end
  return nil, -1
end

-- Whom a job displaces from a full queue: the last in rank of the less urgent ones.
local function least_urgent(ctx, job)
  if ctx.displaced >= MAX_DISPLACED then
    return nil
  end
  write_offers(ctx)
  local ready, rank = last_below(ctx, 'ready', job.queue, job.priority)
  local waiting, other = last_below(ctx, 'waiting', job.queue, job.priority)
  local id = other > rank and waiting or ready
  local r = id and load(ctx, id)
  return r and next_state(r.state, 'shed') and r
end

-- Why a job is not let in, or nil. Whom it displaces stands in `job.displaces`.
local function no_room(ctx, job)
  local count = queued(ctx, job)
  if count < ctx.soft and not ctx.shed then
    return nil
  elseif job.delay_ms or not ctx.bands then
    return queue_full(ctx, job) or nil
  elseif job.priority < level_of(ctx, level_before(ctx, job.queue), count) then
    local rank = rank_of(ctx, { stamp = math.max(ctx.tick + 1, ctx.us), priority = job.priority })
    return { 'overloaded', job.queue, unpack(figures(ctx, job.queue, job.priority, rank)) }
  end
  job.displaces = count >= ctx.max_queue and least_urgent(ctx, job)
  return count >= ctx.max_queue and not job.displaces and queue_full(ctx, job) or nil
end

local function displace(ctx, job)
  local r, count, lane = job.displaces, queued(ctx, job)
  local said = table.concat(figures(ctx, r.queue, r.priority, rank_of(ctx, r)), ' ')
  finish(ctx, r, 'shed', 'why', 'displaced by a more urgent job', 'by', job.id, 'shed', said)
  ctx.queued[lane] = count - 1
  -- Those who are no more urgent passed it over, maybe: it stands there no more.
  for priority = 0, r.priority do
    ctx.passed[priority] = nil
  end
  ctx.displaced = ctx.displaced + 1 + #needs_of(ctx, r)
end

-- Makes the queue known, once in a script.
local function count_in(ctx, job)
  local count, lane = queued(ctx, job)
  ctx.queued[lane] = count + 1
  if ctx.bands and not job.delay_ms and (count + 1 >= ctx.soft or ctx.shed) then
    note_level(ctx, job.queue, count)
  end
  -- Those who are more urgent may displace it.
  for priority = job.priority + 1, ctx.shed_looks > 0 and 4 or 0 do
    ctx.passed[priority] = nil
  end
  ctx.named = ctx.named or {}
  if not ctx.named[job.queue] then
    ctx.named[job.queue] = true
    redis.call('SADD', ctx.p .. K_QUEUES, job.queue)
  end
end
