-- How far a walk along a line goes, and what it has to mind where lines have orders of their own and waiters are passed over.
--@include lib/defined
--@include lib/usage
-- Where lines pass waiters over, one of those who gets something may stand before offers that were made meanwhile.
local function widen(ctx, r)
  local needs = ctx.defined and needs_of(ctx, r) or {}
  for _, need in ipairs(#needs > 1 and needs or {}) do
    defined.of(ctx, need.resource).wide = true
  end
end

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
  if passed and fit then
    used.passed = used.passed or {}
    table.insert(used.passed, r)
  end
  return passed
end

-- Whether offers may stand behind waiters who are no arrivals.
local function scattered(ctx, known)
  return known.mode and (known.wide or next(ctx.arrived))
end

-- Whether nobody behind who is not in use or on offer already could fit, and nobody has to step back: only arrivals of
-- this script can stand before an offer, or those whom the sweep looks for. Most walks end here, without a look at
-- anybody who waits. Where the line passes some over that is so only of what is held (`first`), and of what has room for one.
local function all_taken(ctx, resource, used, first)
  local known = defined.of(ctx, resource)
  if ctx.thorough or used.mode ~= 'x' or known.wide or (next(ctx.arrived) and not (known.mode and first)) then
    return false
  end
  used.limit = used.limit or capacity(ctx, resource)
  return used.permits >= used.limit and (not known.mode or first or used.limit == 1)
end
