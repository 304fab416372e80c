-- Finds requests that wait for each other in a circle. A request waits for those who hold what it needs, and for those
-- who stand before it; a holder lets go when all that its flow waits for has come. Of several who have permits of a
-- counted resource any one may let go, so they are no way on.
--@include lib/request
--@include lib/usage
--@include lib/flow
-- Requests that one search looks at, and of one line those nearest the front.
local MAX_VISITED, MAX_AHEAD = 256, 64

local function holds_up(need, holder, permits)
  return need.mode ~= holder.mode or (need.mode == 'x' and permits == 1)
end

-- Those who have to get something, or go, before a request can have what it needs on one resource.
local function blockers_on(ctx, r, need, search)
  local found, waits = redis.call('HGETALL', ctx.p .. K_HOLDERS .. need.resource), {}
  local permits = found[1] and capacity(ctx, need.resource)
  for i = 1, #found, 2 do
    local holder = holds_up(need, parse_holder(found[i + 1]), permits) and load(ctx, found[i])
    for _, id in ipairs(holder and redis.call('SMEMBERS', ctx.p .. K_FLOW .. flow_of(holder)) or {}) do
      waits[#waits + 1] = id
    end
    if holder and search.r.flow and flow_of(holder) == search.r.flow then
      waits[#waits + 1] = search.r.id
    end
  end
  local rank, new = tonumber(rank_of(ctx, r)), search.r
  local ahead = redis.call('ZRANGE', ctx.p .. K_LINE .. need.resource, 0, MAX_AHEAD - 1, 'WITHSCORES')
  for i = 1, #ahead, 2 do
    if ahead[i] ~= r.id and tonumber(ahead[i + 1]) <= rank then
      waits[#waits + 1] = ahead[i]
    end
  end
  -- The one that arrives stands in no line yet.
  if r.id ~= new.id and need_on(ctx, new, need.resource) and tonumber(rank_of(ctx, new)) < rank then
    waits[#waits + 1] = new.id
  end
  return waits
end

-- The way from `r` back to the one that arrives, the last first; none if there is none.
local function way_back(ctx, r, search)
  for _, need in ipairs(needs_of(ctx, r)) do
    for _, id in ipairs(blockers_on(ctx, r, need, search)) do
      if id == search.r.id then
        return { r }
      end
      local other = not search.seen[id] and search.left > 0 and load(ctx, id)
      search.seen[id] = true
      search.left = search.left - 1
      local way = other and (other.state == 'waiting' or other.state == 'ready') and way_back(ctx, other, search)
      if way then
        way[#way + 1] = r
        return way
      end
    end
  end
end

-- The requests of a circle that `r` closes or stands in, `r` first; none if there is none.
local function circle(ctx, r)
  local way = way_back(ctx, r, { r = r, seen = { [r.id] = true }, left = MAX_VISITED })
  local order = {}
  for i = way and #way or 0, 1, -1 do
    order[#order + 1] = way[i]
  end
  return way and order
end

-- Since when a piece of work has been at it. By that, and not by its last request, it is young or old: who has nearly
-- all it needs has the youngest requests, and were it to give way nobody would come to an end.
local function age_of(ctx, r)
  local first = r.flow and load(ctx, r.flow)
  return first and first.stamp or r.stamp
end

-- Who has to give way: of the lock requests the least urgent, and of those the youngest. A job never does: nobody would
-- begin anew for it.
local function victim_of(ctx, way)
  local chosen, youngest
  for _, r in ipairs(way) do
    local age = r.kind == 'lock' and age_of(ctx, r)
    if age and (not chosen or r.priority < chosen.priority or (r.priority == chosen.priority and age > youngest)) then
      chosen, youngest = r, age
    end
  end
  return chosen
end

local function said(way)
  local ids = {}
  for i, r in ipairs(way) do
    ids[i] = r.id
  end
  return table.concat(ids, ',')
end
