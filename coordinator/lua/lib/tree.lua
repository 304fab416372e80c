-- Subtrees: a need of `a/b/**` is one of `a/b` and of all below it. It has a line and holders of its own, as any resource
-- has; what makes it one is that resources above and below each other are looked at together (lib/overlap).
-- No lock leaves a mark on the paths above it: a plain lock would pay for what nobody uses, and the marks of a path with
-- 100,000 locks below it would be too many to read. Only while a subtree is held or waited for it stands in `trees`, and
-- `meta` says that there are any; only then do others look at the paths above them, and is noted for the subtree what is
-- held below it (1 exclusively, 0 shared) and what is waited for (by the rank of the first; it may have gone since).
-- What was there before is noted page by page: until `trees` says `=` a name is how far that has come, and nobody is
-- granted the subtree.
--@include lib/context
-- Levels of a path at which there may be a subtree.
local tree = { MAX_DEPTH = 16 }
local NONE = {}

tree.is = function(resource)
  return string.sub(resource, -3) == '/**'
end

-- The path above all that a pattern is for, if it is for more than one resource; empty for everything.
tree.path_of = function(pattern)
  return pattern == '**' and '' or string.match(pattern, '^(.*)/%*%*$')
end

tree.covers = function(pattern, resource)
  local path = tree.path_of(pattern)
  if not path then
    return pattern == resource
  end
  -- What only the engine names is nobody's resource.
  return (path == '' and string.sub(resource, 1, 1) ~= '~') or path == resource
    or string.sub(resource, 1, #path + 1) == path .. '/'
end

-- The names of all subtrees that a resource lies in, other than itself.
tree.names = function(resource)
  local whole, names = tree.is(resource), {}
  local path = whole and string.sub(resource, 1, -4) or resource
  for at in string.gmatch(path .. '/', '()/') do
    if #names < tree.MAX_DEPTH and not (whole and at > #path) then
      names[#names + 1] = string.sub(path, 1, at - 1) .. '/**'
    end
  end
  return names
end

-- Those of them that are in use.
tree.above = function(ctx, resource)
  if not ctx.trees then
    return NONE
  end
  ctx.above = ctx.above or {}
  if ctx.above[resource] then
    return ctx.above[resource]
  end
  local names, found = tree.names(resource), {}
  local states = names[1] and redis.call('HMGET', ctx.p .. K_TREES, unpack(names)) or {}
  for i, state in ipairs(states) do
    found[#found + 1] = state and names[i] or nil
  end
  ctx.above[resource] = found
  return found
end

tree.note_held = function(ctx, resource, mode)
  for _, node in ipairs(tree.above(ctx, resource)) do
    redis.call('ZADD', ctx.p .. K_HELD_BELOW .. node, mode == 'x' and 1 or 0, resource)
  end
end

tree.note_waits = function(ctx, resource, rank)
  for _, node in ipairs(tree.above(ctx, resource)) do
    redis.call('ZADD', ctx.p .. K_WAITS_BELOW .. node, 'LT', rank, resource)
  end
end

-- Somebody has gone from a resource, or has another place: those above and below it may have what they wait for.
tree.loosen = function(ctx, resource)
  if not ctx.trees then
    return
  end
  local nodes = tree.above(ctx, resource)
  local free = nodes[1] and redis.call('EXISTS', ctx.p .. K_HOLDERS .. resource) == 0
  local empty = nodes[1] and redis.call('EXISTS', ctx.p .. K_LINE .. resource) == 0
  for _, node in ipairs(nodes) do
    if free then
      redis.call('ZREM', ctx.p .. K_HELD_BELOW .. node, resource)
    end
    if empty then
      redis.call('ZREM', ctx.p .. K_WAITS_BELOW .. node, resource)
    end
    -- While anything in it is held exclusively nobody has the subtree; whoever goes last looks at its line.
    if redis.call('ZCOUNT', ctx.p .. K_HELD_BELOW .. node, 1, 1) == 0 then
      touch(ctx, node)
    end
  end
  if tree.is(resource) then
    ctx.loose = ctx.loose or {}
    ctx.loose[resource] = true
  end
end

-- Those above and below may have to step back, or may come up if it has fallen behind them.
tree.stir = function(ctx, resource, rank)
  if not ctx.trees then
    return
  end
  tree.note_waits(ctx, resource, rank)
  for _, node in ipairs(tree.above(ctx, resource)) do
    touch(ctx, node)
  end
  if tree.is(resource) then
    ctx.loose = ctx.loose or {}
    ctx.loose[resource] = ctx.loose[resource] or 'new'
  end
end
