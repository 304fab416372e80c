-- Judges what is noted of subtrees: that one in use is listed, and that what is held or waited for in it is noted for it. A
-- note too many does no harm: whoever reads it looks at the resource itself. Reading only.
--@include lib/overlap
--@include lib/plant
local function mode_of(ctx, resource)
  local one = redis.call('HRANDFIELD', ctx.p .. K_HOLDERS .. resource, 1, 'WITHVALUES')
  return one[2] and parse_holder(one[2]).mode
end

-- The subtrees around a resource for which it is not noted. While one is still being gone through nothing is missing yet.
local function unnoted(ctx, resource)
  local mode, rank, found = mode_of(ctx, resource), listing.first_rank(ctx, resource), {}
  -- Between two orders the ranks in a line say nothing.
  local most = rank and (defined.of(ctx, resource).turn and math.huge or tonumber(rank))
  for _, node in ipairs(tree.above(ctx, resource)) do
    local held = tonumber(redis.call('ZSCORE', ctx.p .. K_HELD_BELOW .. node, resource) or nil)
    local waits = tonumber(redis.call('ZSCORE', ctx.p .. K_WAITS_BELOW .. node, resource) or nil)
    if redis.call('HGET', ctx.p .. K_TREES, node) == '='
      and ((mode and held ~= (mode == 'x' and 1 or 0)) or (rank and (not waits or waits > most))) then
      found[#found + 1] = node
    end
  end
  return found
end

-- The subtree around a resource that is held although that does not go together with how the resource is held.
local function held_around(ctx, resource)
  local mode = mode_of(ctx, resource)
  for _, node in ipairs(mode and tree.above(ctx, resource) or {}) do
    local theirs = mode_of(ctx, node)
    if theirs and not beside.goes_with({ mode = mode }, { mode = theirs }) then
      return node
    end
  end
end

local function audit_tree(ctx, resource, there, faults)
  if tree.is(resource) and there and not (ctx.trees and redis.call('HEXISTS', ctx.p .. K_TREES, resource) == 1) then
    faults[#faults + 1] = 'is in use, but not listed as a subtree'
  end
  for _, node in ipairs(unnoted(ctx, resource)) do
    faults[#faults + 1] = 'is not noted for the subtree ' .. node
  end
  local node = held_around(ctx, resource)
  if node then
    faults[#faults + 1] = 'is held, and so is ' .. node
  end
end
