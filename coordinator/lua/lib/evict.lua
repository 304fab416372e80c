-- Takes back what lapsed of the holders of one resource, and returns what the rest use, and whether anything was taken.
--@include lib/front
--@include lib/usage
--@include lib/lapse
local function evict(ctx, resource)
  local key = ctx.p .. K_HOLDERS .. resource
  local count, used, stale = ctx.vacant == resource and 0 or redis.call('HLEN', key), { permits = 0 }, false
  if count == 0 then
    return used
  elseif count > MANY_HOLDERS then
    return usage(ctx, resource)
  end
  local held = redis.call('HGETALL', key)
  for i = 1, #held, 2 do
    local holder = parse_holder(held[i + 1])
    if lapsed(ctx, holder) then
      stale = true
      local r = load(ctx, held[i])
      if r and r.fence == holder.fence and (r.state == 'held' or r.state == 'running') then
        lapse(ctx, r, holder.expires <= ctx.now and 'lease ended' or 'session lost')
      else
        redis.call('HDEL', key, held[i])
        retire_resource(ctx, resource)
      end
    else
      add(used, holder)
    end
  end
  return stale and usage(ctx, resource) or used, stale
end

-- The same above and below what a request needs, where that matters to it.
local function evict_around(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    local stale = {}
    beside.entangled(ctx, r, need, stale)
    for _, resource in ipairs(stale) do
      evict(ctx, resource)
      ctx.looks = ctx.looks + 4
    end
  end
end

-- Whether the request can have all it needs now. What lapsed on its other lines is taken back first: a job that goes
-- back to its place there may stand before it.
local function its_turn(ctx, r, except)
  for _, need in ipairs(needs_of(ctx, r)) do
    if need.resource ~= except then
      evict(ctx, need.resource)
    end
  end
  if ctx.trees then
    evict_around(ctx, r)
    local need = except and need_on(ctx, r, except)
    if need and beside.kept_from(ctx, r, need) then
      return false
    end
  end
  return front_everywhere(ctx, r, except)
end
