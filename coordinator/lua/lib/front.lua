-- Whether a request stands at the front of one line: everybody before it has been offered the resource already,
-- and all of them, the holders and the request itself fit together. Reading only.
--@include lib/request
--@include lib/usage
--@include lib/overlap
-- How many unclaimed candidates one line may have at once; the next come up as these are claimed.
local WINDOW = 64

-- `id` may be a request that is not in line yet: everybody of its rank or better then counts as before it. Also returns
-- whether it could be granted as things are written: nothing lapsed is left to take back, and nobody else is in line.
local function front(ctx, need, rank, id)
  local line = ctx.p .. K_LINE .. need.resource
  if ctx.in_use ~= need.resource and redis.call('EXISTS', line, ctx.p .. K_HOLDERS .. need.resource) == 0 then
    return true, true
  end
  local known = defined.of(ctx, need.resource)
  if known.turn then
    return false
  end
  local used = usage(ctx, need.resource)
  local clear = not used.stale
  for from = 0, WINDOW, 4 do
    local ahead = redis.call('ZRANGE', line, text(from), text(from + 3), 'WITHSCORES')
    clear = clear and not ahead[1]
    for i = 1, #ahead, 2 do
      if ahead[i] == id or tonumber(ahead[i + 1]) > rank then
        return fits(ctx, need.resource, used, need), clear
      end
      local other = load(ctx, ahead[i])
      if other and not beside.lapsed(ctx, other) then
        local their = need_on(ctx, other, need.resource)
        local fit = their and fits(ctx, need.resource, used, their)
        if fit and other.state == 'ready' then
          add(used, their)
        elseif not defined.passed_over(ctx, other, need.resource, fit) then
          return false
        end
      end
    end
    if #ahead < 8 then
      return fits(ctx, need.resource, used, need), clear
    end
  end
  -- In a line that passes some over, what stands so far ahead is not looked at: somebody has to be able to go.
  return known.mode and fits(ctx, need.resource, used, need)
end

-- Whether a job that needs several resources would put an offer back where lines have orders of their own. It may not: three
-- could do that to each other in a circle, without end.
local function puts_back(ctx, r)
  local several = ctx.defined and r.kind == 'job' and r.state == 'waiting' and #needs_of(ctx, r) > 1
  for _, need in ipairs(several and needs_of(ctx, r) or {}) do
    local used = defined.of(ctx, need.resource).mode and usage(ctx, need.resource)
    local line = used and redis.call('ZRANGE', ctx.p .. K_LINE .. need.resource, '0', text(WINDOW - 1)) or {}
    for _, id in ipairs(line) do
      local other = load(ctx, id)
      local their = other and other.state == 'ready' and need_on(ctx, other, need.resource)
      if their then
        add(used, their)
      end
    end
    if used and not fits(ctx, need.resource, used, need) then
      return true
    end
  end
  return false
end

-- At the front of all its lines, leaving out `except`, which the caller has walked itself.
local function front_everywhere(ctx, r, except)
  for _, need in ipairs(needs_of(ctx, r)) do
    -- It is in line, so the walk ends at its own entry: its rank was computed when it joined, and is not again here.
    if need.resource ~= except and (beside.kept_from(ctx, r, need) or not front(ctx, need, math.huge, r.id)) then
      return false
    end
  end
  return not puts_back(ctx, r)
end
