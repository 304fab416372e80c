-- Other places in line for a request that waits. A place given by hand is a rank of the request's own, which stands in
-- its record until it gets another priority or arrives anew.
--@include lib/enqueue
--@include lib/overlap
-- How far before the first or behind the last, in the unit of ranks.
local STEP = 1000000

-- Gives it the place of its rank, everywhere it waits. `falls`: it may be behind some whom it was before.
local function take_place(ctx, r, falls)
  if r.state == 'ready' and r.needs and falls then
    -- It may fall behind several who cannot go yet, where `promote` does not look for offers; it is offered anew.
    withdraw(ctx, r)
  end
  local rank = rank_of(ctx, r)
  if r.state == 'ready' then
    unclassify(ctx, r.queue, r.id)
    put_offer(ctx, r)
  elseif r.state == 'waiting' and r.kind == 'job' then
    redis.call('ZADD', ctx.p .. K_WAITING .. r.queue, rank, r.id)
  end
  if r.gate then
    redis.call('ZADD', ctx.p .. K_GATED .. r.gate .. ':' .. r.queue, rank, r.id)
  elseif r.state ~= 'scheduled' and r.needs then
    join_lines(ctx, r)
    for _, need in ipairs(falls and needs_of(ctx, r) or {}) do
      tree.loosen(ctx, need.resource)
    end
  end
end

local function put_at(ctx, r, rank)
  local falls = ctx.defined or rank > tonumber(rank_of(ctx, r))
  r.rank = text(rank)
  redis.call('HSET', ctx.p .. K_REQ .. r.id, 'rank', r.rank)
  take_place(ctx, r, falls)
end

-- The sorted sets whose order is at stake: the lines of its resources, or its queue.
local function orders_of(ctx, r)
  local keys = {}
  for i, need in ipairs(needs_of(ctx, r)) do
    keys[i] = K_LINE .. need.resource
  end
  if not keys[1] then
    keys[1] = (r.state == 'ready' and K_READY or K_WAITING) .. r.queue
  end
  return keys
end

-- The rank of the first of `found` (ids and ranks in turn) that is not the request's own.
local function other_rank(r, found)
  return tonumber(found[1] == r.id and found[4] or found[1] ~= r.id and found[2] or nil)
end

-- The best rank of those who wait above and below what is needed; those who stand in a line with an order of its own keep
-- nobody there waiting.
local function first_around(ctx, need)
  local best
  for _, other in ipairs(ctx.trees and need and beside.around(ctx, need.resource, 'x', '+inf') or {}) do
    local first = not defined.of(ctx, other).mode and redis.call('ZRANGE', ctx.p .. K_LINE .. other, 0, 0, 'WITHSCORES')[2]
    best = first and math.min(best or tonumber(first), tonumber(first)) or best
  end
  return best
end

-- A rank before everybody on all its lines and above and below them, or behind everybody on its lines; its own where that
-- is already further than this, for those who come later are judged by it.
local function rank_at_end(ctx, r, front)
  local furthest, best = front and math.min or math.max, nil
  for i, key in ipairs(orders_of(ctx, r)) do
    local need = needs_of(ctx, r)[i]
    local own = need and defined.score(ctx, r, need.resource) or tonumber(rank_of(ctx, r))
    local rank = other_rank(r, redis.call(front and 'ZRANGE' or 'ZREVRANGE', ctx.p .. key, 0, 1, 'WITHSCORES'))
    local around = front and first_around(ctx, need)
    rank = around and math.min(rank or around, around) or rank
    best = furthest(best or own, own, rank and rank + (front and -STEP or STEP) or own)
  end
  return best
end

-- Where another stands, in the first line that both are in: with modes of their own, lines have different orders.
local function rank_beside(ctx, r, other)
  for _, need in ipairs(needs_of(ctx, r)) do
    if need_on(ctx, other, need.resource) then
      return defined.score(ctx, other, need.resource)
    end
  end
  return tonumber(rank_of(ctx, other))
end

-- A rank directly before another request; none if nobody fits in between.
local function rank_before(ctx, r, other)
  local after, before = rank_beside(ctx, r, other), nil
  for _, key in ipairs(orders_of(ctx, r)) do
    local rank = other_rank(r, redis.call('ZREVRANGEBYSCORE', ctx.p .. key, '(' .. text(after), '-inf',
      'WITHSCORES', 'LIMIT', 0, 2))
    before = rank and math.max(before or rank, rank) or before
  end
  if not before then
    return after - STEP
  end
  return after - before >= 2 and math.floor((before + after) / 2) or nil
end
