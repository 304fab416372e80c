-- Moves on the lines that freezes have stopped, when they are over.
--@include lib/frozen
--@include lib/tree
--@include lib/leftovers
local PAGE = 256
local thawing = {}

thawing.write = function(ctx, one)
  redis.call('HSET', ctx.p .. K_FREEZES, one.pattern,
    text(one.ends) .. ' ' .. one.since .. ' ' .. one.cursor .. ' ' .. one.call .. ' ' .. string.gsub(one.by, '\n', ' ') .. '\n' .. one.why)
end

local function end_freeze(ctx, one)
  redis.call('HDEL', ctx.p .. K_FREEZES, one.pattern)
  if redis.call('HLEN', ctx.p .. K_FREEZES) == 0 then
    redis.call('HDEL', ctx.meta, 'frozen')
  end
end

-- One page of the lines below a pattern. The sweep that takes them up comes at once if there are many.
thawing.some = function(ctx, one)
  local path = tree.path_of(one.pattern)
  for _, node in ipairs(tree.above(ctx, one.pattern)) do
    touch(ctx, node)
  end
  if not path then
    touch(ctx, one.pattern)
    return end_freeze(ctx, one)
  end
  local from = one.cursor ~= '-' and '(' .. one.cursor or '[' .. path
  local names = redis.call('ZRANGEBYLEX', ctx.p .. K_RESOURCES, from, path == '' and '+' or '[' .. path .. '/\255',
    'LIMIT', 0, PAGE)
  for _, resource in ipairs(names) do
    if tree.covers(one.pattern, resource) then
      leave(ctx, resource)
    end
  end
  if #names < PAGE then
    return end_freeze(ctx, one)
  end
  one.cursor = names[#names]
  thawing.write(ctx, one)
end

-- Returns how many freezes were over.
thawing.due = function(ctx)
  local found = 0
  for _, one in ipairs(ctx.frozen and halts.freezes(ctx) or {}) do
    if one.ends <= ctx.now then
      thawing.some(ctx, one)
      found = found + 1
    end
  end
  return found
end
