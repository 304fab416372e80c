-- Takes back what lapsed of the holders of one resource, and returns what the rest use.
--@include lib/usage
--@include lib/lapse
local function evict(ctx, resource)
  local key = ctx.p .. K_HOLDERS .. resource
  local count, used, stale = redis.call('HLEN', key), { permits = 0 }, false
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
  return stale and usage(ctx, resource) or used
end
