-- What a request waits for: those who hold what it needs, and those who stand before it; a holder lets go when all that its
-- flow waits for has come. Of several who have permits of a counted resource any one may let go: lib/cycle looks at those.
--@include lib/defined
--@include lib/usage
--@include lib/flow
--@include lib/overlap
-- Waiters of one line, those nearest the front.
local MAX_AHEAD = 64

local function holds_up(need, holder, permits)
  return need.mode ~= holder.mode or (need.mode == 'x' and permits == 1)
end

-- Whether nobody waits for one who stands before him.
local function goes_past(ctx, id, resource)
  local other = defined.of(ctx, resource).mode and load(ctx, id)
  return other and defined.passed_over(ctx, other, resource)
end

-- What has to come before those who hold a resource and are in the way of a need let go. Of a resource `beside` the one
-- needed, above or below it, all permits are in the way.
local function add_holders(ctx, resource, need, beside, search, waits)
  local found = redis.call('HGETALL', ctx.p .. K_HOLDERS .. resource)
  local permits = found[1] and (beside and 1 or capacity(ctx, resource))
  search.counted = search.counted or (permits and permits > 1)
  for i = 1, #found, 2 do
    local holder = holds_up(need, parse_holder(found[i + 1]), permits) and load(ctx, found[i])
    for _, id in ipairs(holder and redis.call('SMEMBERS', ctx.p .. K_FLOW .. flow_of(holder)) or {}) do
      waits[#waits + 1] = id
    end
    if holder and search.r.flow and flow_of(holder) == search.r.flow then
      waits[#waits + 1] = search.r.id
    end
  end
end

-- Those who stand before a request above and below what it needs, and what those hold there wait for.
local function add_beside(ctx, r, need, search, waits)
  local rank, new = rank_of(ctx, r), search.r
  for _, other in ipairs(beside.around(ctx, need.resource, need.mode, rank)) do
    add_holders(ctx, other, need, true, search, waits)
    for _, id in ipairs(beside.ahead_on(ctx, other, need, rank)) do
      waits[#waits + 1] = id
    end
  end
  for _, their in ipairs(needs_of(ctx, new)) do
    if r.id ~= new.id and beside.overlap(need.resource, their.resource) and not beside.goes_with(need, their)
      and tonumber(rank_of(ctx, new)) < tonumber(rank) then
      waits[#waits + 1] = new.id
    end
  end
end

-- Those who have to get something, or go, before a request can have what it needs on one resource.
local function blockers_on(ctx, r, need, search)
  local waits, rank, new = {}, defined.score(ctx, r, need.resource), search.r
  add_holders(ctx, need.resource, need, false, search, waits)
  if ctx.trees or tree.is(need.resource) then
    add_beside(ctx, r, need, search, waits)
  end
  local ahead = redis.call('ZRANGE', ctx.p .. K_LINE .. need.resource, 0, MAX_AHEAD - 1, 'WITHSCORES')
  for i = 1, #ahead, 2 do
    if ahead[i] ~= r.id and tonumber(ahead[i + 1]) <= rank and not goes_past(ctx, ahead[i], need.resource) then
      waits[#waits + 1] = ahead[i]
    end
  end
  -- The one that arrives stands in no line yet.
  if r.id ~= new.id and need_on(ctx, new, need.resource) and defined.score(ctx, new, need.resource) < rank
    and not defined.passed_over(ctx, new, need.resource) then
    waits[#waits + 1] = new.id
  end
  return waits
end
