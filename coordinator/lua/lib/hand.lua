-- Places given by hand: before or behind all, or before one. For lines by arrival, and for those of the latest first, all
-- are at -n, or n, with a number n that is drawn for it: whoever waits then has a stamp, or such a number, that was drawn
-- before. So they are right in whatever line gets that order later.
--@include lib/defined
--@include lib/overlap
-- How far before the first or behind the last by priority, in the unit of ranks, where there is room.
local STEP = 1000000

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

local function just_before(rank)
  return rank - (rank > 0 and STEP or 1)
end

-- A rank by priority before everybody on all its lines and above and below them, or behind everybody on its lines; its own
-- where that is already further than this, for those who come later are judged by it. `limit`: none of those who wait has
-- one beyond this; it is taken where a line is in another order, and so does not say who is the first by priority.
local function rank_at_end(ctx, r, front, limit)
  local furthest, best = front and math.min or math.max, rank_number(ctx, r)
  for i, key in ipairs(orders_of(ctx, r)) do
    local need = needs_of(ctx, r)[i]
    local known = need and defined.of(ctx, need.resource) or {}
    if known.mode or known.turn then
      best = furthest(best, limit)
    else
      local rank = other_rank(r, redis.call(front and 'ZRANGE' or 'ZREVRANGE', ctx.p .. key, 0, 1, 'WITHSCORES'))
      local around = front and first_around(ctx, need)
      rank = around and math.min(rank or around, around) or rank
      best = furthest(best, not rank and best or front and just_before(rank)
        or math.max(rank + 1, math.min(rank + STEP, limit)))
    end
  end
  return best
end

local function places_at_end(ctx, r, front)
  local drawn = draw(ctx)
  local far = front and -drawn or drawn
  local rank = rank_at_end(ctx, r, front, front and -drawn or drawn + 4 * ctx.aging_us)
  return { rank = rank, rank_oldest = r.needs and far or nil, rank_newest = r.needs and far or nil }
end

-- Of what order the first line is that both are in, and where the other stands there: it will stand before it in all of
-- its lines that have this order, and as it arrived in others.
local function beside_in(ctx, r, other)
  for _, need in ipairs(needs_of(ctx, r)) do
    if need_on(ctx, other, need.resource) then
      return defined.hand(ctx, need.resource), defined.score(ctx, other, need.resource)
    end
  end
  return 'rank', rank_number(ctx, other)
end

-- The place directly before another request; none if nobody fits in between.
local function places_before(ctx, r, other)
  draw(ctx)  -- so that whoever is put in front later, or comes later to a line of the latest first, is further there
  local field, after = beside_in(ctx, r, other)
  local before
  for i, key in ipairs(orders_of(ctx, r)) do
    local need = needs_of(ctx, r)[i]
    local rank = (not need or defined.hand(ctx, need.resource) == field) and other_rank(r,
      redis.call('ZREVRANGEBYSCORE', ctx.p .. key, '(' .. text(after), '-inf', 'WITHSCORES', 'LIMIT', 0, 2))
    before = rank and math.max(before or rank, rank) or before
  end
  if not before then
    return { [field] = just_before(after) }
  end
  return after - before >= 2 and { [field] = math.floor((before + after) / 2) } or nil
end
