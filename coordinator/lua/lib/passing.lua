-- How far a walk along a line goes, and what it has to mind where lines have orders of their own and waiters are passed over.
--@include lib/defined
--@include lib/usage
-- Those who were passed over stand in other lines, too. Who stands in front of them there, in an order that nobody is
-- passed in, may want what is left here, and this walk ends before it comes to him.
local function touch_strict(ctx, passed)
  for _, r in ipairs(passed or {}) do
    for _, need in ipairs(needs_of(ctx, r)) do
      if not defined.of(ctx, need.resource).mode then
        touch(ctx, need.resource)
      end
    end
  end
end

-- One who cannot have the resource now. Returns whether the walk goes on behind it.
local function leave_waiting(ctx, r, resource, used, fit)
  local passed = defined.passed_over(ctx, r, resource, fit)
  used.skipped = used.skipped or passed
  if passed and fit then
    used.passed = used.passed or {}
    table.insert(used.passed, r)
  end
  return passed
end

-- Offers that stand behind waiters who were passed over have to step back when those get something. Where there are such a
-- walk does not end before it has seen them all; it is noted with what the resource is defined with.
local function note_gap(ctx, r, resource, used)
  local known = used.skipped and r.state == 'ready' and defined.of(ctx, resource)
  if known then
    used.gap = true
    if known.gaps ~= '1' then
      known.gaps = '1'
      redis.call('HSET', ctx.p .. K_DEF .. resource, 'gaps', '1')
    end
  end
end

-- Who gets something by the walk of one line may stand before offers on another that was not walked yet.
local function widen(ctx, r)
  local needs = ctx.defined and needs_of(ctx, r) or {}
  for _, need in ipairs(#needs > 1 and needs or {}) do
    local known = defined.of(ctx, need.resource)
    known.gaps = known.gaps or (known.mode and '?')
  end
end

local function forget_gaps(ctx, resource, known, used)
  if known.gaps and not used.gap then
    known.gaps = nil
    redis.call('HDEL', ctx.p .. K_DEF .. resource, 'gaps')
  end
end

-- Whether offers may stand behind waiters who are no arrivals.
local function scattered(ctx, known)
  return known.mode and (known.gaps or next(ctx.arrived))
end

-- Whether nobody behind who is not in use or on offer already could fit, and nobody has to step back: only arrivals of
-- this script can stand before an offer, or those whom the sweep looks for. Most walks end here, without a look at
-- anybody who waits. What is held (`first`) keeps arrivals from standing before offers, too, where there is an order.
local function all_taken(ctx, resource, used, first)
  local known = defined.of(ctx, resource)
  if ctx.thorough or used.mode ~= 'x' or (next(ctx.arrived) and not (known.mode and first)) or (known.mode and known.gaps) then
    return false
  end
  used.limit = used.limit or capacity(ctx, resource)
  return used.permits >= used.limit
end
