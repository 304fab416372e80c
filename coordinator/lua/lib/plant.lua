-- Lists a subtree while it is in use, and goes once through what stands below it already.
--@include lib/leftovers
--@include lib/defined
-- Resources that one script goes through.
local NOTED = 128
local listing = {}

-- The rank to note for a line: that of the first. Nobody above waits for those in a line with an order of its own, so that
-- comes behind all: it is noted only to be looked at when they go.
listing.first_rank = function(ctx, resource)
  local first = redis.call('ZRANGE', ctx.p .. K_LINE .. resource, 0, 0, 'WITHSCORES')[2]
  return first and defined.of(ctx, resource).mode and 'inf' or first
end

-- Notes for a subtree what stood below it before it was in use.
listing.grow = function(ctx, node, state)
  local path = string.sub(node, 1, -4)
  local names = redis.call('ZRANGEBYLEX', ctx.p .. K_RESOURCES, state == '-' and '[' .. path .. '/' or '(' .. state,
    '(' .. path .. '/\255', 'LIMIT', 0, NOTED)
  local last = #names == NOTED and names[NOTED] or '='
  names[#names + 1] = state == '-' and path or nil
  for _, name in ipairs(names) do
    local held = name ~= node and redis.call('HRANDFIELD', ctx.p .. K_HOLDERS .. name, 1, 'WITHVALUES') or {}
    if held[2] then
      redis.call('ZADD', ctx.p .. K_HELD_BELOW .. node, string.byte(held[2]) == 120 and 1 or 0, name)
    end
    local first = name ~= node and listing.first_rank(ctx, name)
    if first then
      redis.call('ZADD', ctx.p .. K_WAITS_BELOW .. node, 'LT', first, name)
    end
  end
  redis.call('HSET', ctx.p .. K_TREES, node, last)
  if last ~= '=' then
    leave(ctx, node)
  end
end

listing.plant = function(ctx, node)
  if redis.call('HSETNX', ctx.p .. K_TREES, node, '-') == 1 then
    redis.call('HSET', ctx.meta, 'trees', 1)
    ctx.trees, ctx.above = '1', nil
    listing.grow(ctx, node, '-')
  end
end

listing.none_left = function(ctx)
  if redis.call('EXISTS', ctx.p .. K_TREES, ctx.p .. K_WAKES) == 0 then
    redis.call('HDEL', ctx.meta, 'trees')
    ctx.trees = false
  end
end

-- Nobody has or wants the subtree any more.
listing.uproot = function(ctx, node)
  redis.call('UNLINK', ctx.p .. K_HELD_BELOW .. node, ctx.p .. K_WAITS_BELOW .. node)
  redis.call('HDEL', ctx.p .. K_TREES, node)
  ctx.above = nil
  listing.none_left(ctx)
end
