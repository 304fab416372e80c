-- What resources were defined with, beside their capacity: the mode of their line, its limit, the longest hold of one
-- grant, the delay after a crash. In `meta` stands how many resources have any of that: without, nobody looks.
--@include lib/request
-- By arrival, the latest first.
local NEWEST = { newest_first = true, newest_ready_first = true }
-- Who does not fit stops nobody behind.
local LOOSE = { newest_ready_first = true, unordered = true }
local FIELDS = { 'mode', 'max_line', 'max_hold', 'lock_delay', 'delayed', 'turn', 'gaps' }
local NOTHING = {}
-- One name for all of this: a function has at most 200, and this is used everywhere.
local defined = {}

-- `mode` is nil for a line by priority. `delayed`: until when, in ms, and the request whose loss it is for. `turn`: how far
-- its line has been put into the order of a new mode, if it is not all of it. `gaps`: see lib/passing.
function defined.of(ctx, resource)
  if not ctx.defined then
    return NOTHING
  end
  ctx.definitions = ctx.definitions or {}
  local known = ctx.definitions[resource]
  if not known then
    known = {}
    for i, value in ipairs(redis.call('HMGET', ctx.p .. K_DEF .. resource, unpack(FIELDS))) do
      known[FIELDS[i]] = value or nil
    end
    ctx.definitions[resource] = known
  end
  return known
end

function defined.special(fields)
  return fields.mode or fields.max_line or fields.max_hold or fields.lock_delay
end

-- Notes in `meta` that so many more resources have something to be looked at.
function defined.count(ctx, more)
  local left = more ~= 0 and redis.call('HINCRBY', ctx.meta, 'defined', text(more))
  if left and left <= 0 then
    redis.call('HDEL', ctx.meta, 'defined')
  end
  ctx.defined = ctx.defined and more == 0 or left and left > 0
end

-- Where a place given by hand stands in a record, for each of the orders that lines have (lib/hand).
defined.HAND = { 'rank', 'rank_oldest', 'rank_newest' }

function defined.hand(ctx, resource)
  local mode = defined.of(ctx, resource).mode
  return not mode and 'rank' or NEWEST[mode] and 'rank_newest' or 'rank_oldest'
end

function defined.give_up_hand(ctx, r)
  if r.rank or r.rank_oldest or r.rank_newest then
    r.rank, r.rank_oldest, r.rank_newest = nil, nil, nil
    redis.call('HDEL', ctx.p .. K_REQ .. r.id, unpack(defined.HAND))
  end
end

-- The score of a request in one of its lines, as text.
function defined.place(ctx, r, resource)
  local mode = defined.of(ctx, resource).mode
  return not mode and rank_of(ctx, r) or r[defined.hand(ctx, resource)] or text(NEWEST[mode] and -r.stamp or r.stamp)
end

-- The same as a number.
function defined.score(ctx, r, resource)
  return defined.of(ctx, resource).mode and tonumber(defined.place(ctx, r, resource)) or rank_number(ctx, r)
end

-- Whether those behind a waiter that cannot have the resource now may have it. Where lines have orders of their own, two
-- who need both could each stand before the other, so there nobody waits for one that needs more than this, or that
-- a subtree above keeps out.
function defined.passed_over(ctx, r, resource, fit)
  local mode = defined.of(ctx, resource).mode
  return mode and r.state ~= 'ready' and (#needs_of(ctx, r) > 1 or (LOOSE[mode] and not fit)
    or (ctx.trees and fit))
end

-- How long one grant may last, if it is to be for `ms`.
function defined.held_for(ctx, r, ms)
  for _, need in ipairs(ctx.defined and needs_of(ctx, r) or NOTHING) do
    ms = math.min(ms, tonumber(defined.of(ctx, need.resource).max_hold) or ms)
  end
  return ms
end
