-- Finds requests that wait for each other in a circle. Where permits of counted resources are in it there are many ways, and
-- all have to lead back: such circles are searched for only where there is no plain one.
--@include lib/held_up
-- Requests that one search looks at.
local MAX_VISITED = 256
local way_back

-- The way from a request back to the one that arrives; empty if that is it, or if it is known already that there is one. A
-- second value says that there is one if there is one from those that are being looked at now.
local function way_from(ctx, id, search)
  if id == search.r.id then
    return {}
  elseif search.back[id] then
    return {}, search.soft[id]
  elseif search.deep and search.open[id] then
    search.assumed[id] = true
    return {}, true
  end
  local other = not search.seen[id] and search.left > 0 and load(ctx, id)
  search.seen[id], search.left = true, search.left - 1
  if not other or (other.state ~= 'waiting' and other.state ~= 'ready') then
    return nil
  end
  search.open[id] = true
  local way, soft = way_back(ctx, other, search)
  search.open[id], search.back[id], search.soft[id] = nil, way, soft
  -- What was found by the assumption that there is a way is not to be trusted.
  search.void = search.void or (search.assumed[id] and not way)
  return way, soft
end

-- The same for several of which one is enough.
local function way_of_any(ctx, ids, search)
  local found
  for _, id in ipairs(ids) do
    local way, soft = way_from(ctx, id, search)
    if way and not soft then
      return way
    end
    found = found or way
  end
  return found, true
end

-- Of a counted resource any holder may let go: there is a way only if there is one from each of them. What the request's own
-- flow has of it comes back last of all.
local function way_of_all(ctx, r, need, search)
  local used, all, soft = need.mode == 'x' and usage(ctx, need.resource), {}, true
  if not used or used.stale or used.mode ~= 'x' or fits(ctx, need.resource, used, need) then
    return nil
  end
  for _, id in ipairs(redis.call('HKEYS', ctx.p .. K_HOLDERS .. need.resource)) do
    local holder = search.left > 0 and load(ctx, id)
    local flow = holder and flow_of(holder)
    if flow == flow_of(search.r) then
      soft = false
    elseif flow ~= flow_of(r) then
      local way, assumed = way_of_any(ctx, flow and redis.call('SMEMBERS', ctx.p .. K_FLOW .. flow) or {}, search)
      if not way then
        return nil
      end
      soft = soft and assumed
      for _, one in ipairs(way) do
        all[#all + 1] = one
      end
    end
  end
  return all, soft
end

-- The way from `r` back to the one that arrives, the last first; none if there is none.
way_back = function(ctx, r, search)
  local found
  for _, need in ipairs(needs_of(ctx, r)) do
    local way, soft = way_of_any(ctx, blockers_on(ctx, r, need, search), search)
    if search.deep and (soft or not way) then
      local all, assumed = way_of_all(ctx, r, need, search)
      if all then
        way, soft = all, assumed
      end
    end
    if way and not soft then
      way[#way + 1] = r
      return way
    end
    found = found or way
  end
  if found then
    found[#found + 1] = r
  end
  return found, true
end

-- The requests of a circle that `r` closes or stands in, `r` first; none if there is none.
local function circle(ctx, r, deep)
  local search = { r = r, seen = { [r.id] = true }, open = {}, assumed = {}, back = {}, soft = {}, left = MAX_VISITED, deep = deep }
  local way, soft = way_back(ctx, r, search)
  if not way and search.counted and not deep then
    return circle(ctx, r, true)
  end
  local order = {}
  for i = way and #way or 0, 1, -1 do
    order[#order + 1] = way[i]
  end
  return way and not soft and not search.void and order
end
