-- Whether something above or below keeps a request from a resource: a holder that does not go together with it, or
-- somebody of better rank who waits there and would not go together with it either. Between a subtree and what lies in
-- it, as between two subtrees, only shared goes with shared. Reading only; where there is more than can be looked at, the
-- request waits: it is looked at again whenever somebody goes.
--@include lib/request
--@include lib/usage
--@include lib/person
--@include lib/frozen
--@include lib/tree
--@include lib/defined
-- Resources below that are looked at, and waiters on each resource.
local MANY, AHEAD = 64, 16
local beside = {}

beside.lapsed = function(ctx, r)
  return out_of_time(ctx, r) or (r.kind == 'lock' and not live(ctx, r.session))
end

-- Adds names that are not known. Returns whether these are all, and not just as many as were looked at.
local function put_all(names, known, list)
  for _, name in ipairs(list) do
    names[#names + 1] = not known[name] and name or nil
    known[name] = true
  end
  return #list < MANY
end

-- The resources above and below one that is needed in `mode` by somebody of `rank`, as far as they matter. The second value
-- says that these are all.
beside.around = function(ctx, resource, mode, rank)
  local names, known = {}, {}
  put_all(names, known, tree.above(ctx, resource))
  if not tree.is(resource) then
    return names, true
  end
  local state = ctx.trees and redis.call('HGET', ctx.p .. K_TREES, resource)
  if state == '=' then
    local held = put_all(names, known, redis.call('ZRANGEBYSCORE', ctx.p .. K_HELD_BELOW .. resource,
      mode == 's' and 1 or '-inf', '+inf', 'LIMIT', 0, MANY))
    local waits = put_all(names, known, redis.call('ZRANGEBYSCORE', ctx.p .. K_WAITS_BELOW .. resource, '-inf',
      '(' .. rank, 'LIMIT', 0, MANY))
    return names, held and waits
  end
  local path = string.sub(resource, 1, -4)
  known[resource] = true
  put_all(names, known, { path })
  local all = put_all(names, known, redis.call('ZRANGEBYLEX', ctx.p .. K_RESOURCES, '[' .. path .. '/',
    '(' .. path .. '/\255', 'LIMIT', 0, MANY))
  return names, all and not state
end

beside.goes_with = function(need, other)
  return need.mode == 's' and other.mode == 's'
end

-- Whether one of two resources is a subtree that the other lies in.
beside.overlap = function(one, other)
  return one ~= other and ((tree.is(one) and tree.covers(one, other)) or (tree.is(other) and tree.covers(other, one)))
end

-- The ids of those who wait for `other`, have a better rank, and do not go together with the need. Also returns whether
-- these are all.
beside.ahead_on = function(ctx, other, need, rank)
  if defined.of(ctx, other).mode then
    return {}, true  -- its order is no rank, and nobody waits for those who wait there
  end
  local ids = redis.call('ZRANGEBYSCORE', ctx.p .. K_LINE .. other, '-inf', '(' .. rank, 'LIMIT', 0, AHEAD)
  local found = {}
  for _, id in ipairs(ids) do
    local r = load(ctx, id)
    local their = r and (r.state == 'waiting' or r.state == 'ready') and not beside.lapsed(ctx, r) and need_on(ctx, r, other)
    found[#found + 1] = their and not beside.goes_with(need, their) and id or nil
  end
  return found, #ids < AHEAD
end

-- The resource where what keeps the request out is, if anything does. `stale` gathers those where somebody has lapsed.
beside.entangled = function(ctx, r, need, stale)
  local rank = rank_of(ctx, r)
  local others, all = beside.around(ctx, need.resource, need.mode, rank)
  for _, other in ipairs(others) do
    local used = usage(ctx, other)
    if used.stale and stale then
      stale[#stale + 1] = other
    end
    if used.mode and not beside.goes_with(need, used) then
      return other
    end
    local ids, every = beside.ahead_on(ctx, other, need, rank)
    if ids[1] or not every then
      return other
    end
  end
  return not all and need.resource or nil
end

-- What keeps a request from a resource although its own line and holders would let it have it.
beside.kept_from = function(ctx, r, need)
  return halts.bar(ctx, r, need.resource) or ((ctx.trees or tree.is(need.resource)) and beside.entangled(ctx, r, need))
end

-- Who is in the way of a need above and below what it names, for people. Each resource with those who hold it and do not go
-- together with the need, and those who wait for it with a better rank.
beside.neighbours = function(ctx, need, rank, most)
  local found = {}
  for _, other in ipairs(beside.around(ctx, need.resource, need.mode, rank)) do
    local used = usage(ctx, other)
    local held = used.mode and not beside.goes_with(need, used) and holders_of(ctx, other, most) or {}
    local ids = beside.ahead_on(ctx, other, need, rank)
    if #found < most and (held[1] or ids[1]) then
      found[#found + 1] = { other, held, persons(ctx, ids, other) }
    end
  end
  return found
end
