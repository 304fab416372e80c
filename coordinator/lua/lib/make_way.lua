-- A job that a worker has claimed holds what it needs, for it may begin at any time and asks nobody. One that is on offer
-- begins nowhere: if only such jobs, all of them less urgent, keep the first in line from what it needs, they give way.
--@include lib/overlap
--@include lib/defined
--@include lib/unbegun
-- Of those who hold a resource, the spare jobs that `first` comes before, if it fits once they are gone. Nil: it does not.
local function in_the_way(ctx, need, first)
  local found, used = {}, { permits = 0 }
  local key = ctx.p .. K_HOLDERS .. need.resource
  if redis.call('HLEN', key) > MANY_HOLDERS then
    return nil
  end
  local held = redis.call('HGETALL', key)
  for i = 1, #held, 2 do
    local holder, r = parse_holder(held[i + 1]), load(ctx, held[i])
    if r and r.spare and r.state == 'running' and r.fence == holder.fence and r.priority < first.priority
      and defined.score(ctx, first, need.resource) < defined.score(ctx, r, need.resource) then
      found[#found + 1] = r
    else
      add(used, holder)
    end
  end
  return fits(ctx, need.resource, used, need) and found or nil
end

-- Returns whether anybody gave way.
local function make_way(ctx, resource)
  local id = redis.call('ZRANGE', ctx.p .. K_LINE .. resource, 0, 0)[1]
  local first = id and load(ctx, id)
  if not first or first.state ~= 'waiting' or beside.lapsed(ctx, first) then
    return false
  end
  local givers = {}
  for _, need in ipairs(needs_of(ctx, first)) do
    local found = redis.call('ZRANGE', ctx.p .. K_LINE .. need.resource, 0, 0)[1] == id
      and not beside.kept_from(ctx, first, need) and in_the_way(ctx, need, first)
    if not found then
      return false
    end
    for _, r in ipairs(found) do
      givers[r.id] = r
    end
  end
  for _, r in pairs(givers) do
    take_back_spare(ctx, r)
  end
  write_gates(ctx)
  return next(givers) ~= nil
end
