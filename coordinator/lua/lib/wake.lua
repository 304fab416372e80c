-- Moves on the lines below subtrees that somebody has left. The first of them in the same script, in order of rank; the
-- rest page by page in the sweeps that follow, where `wakes` says how far that has come: `0` and a name, or `1` if it
-- has to begin again after this round.
--@include lib/context
--@include lib/tree
--@include lib/leftovers
--@include lib/plant
-- Lines that one script moves on itself, looks through, and corrects the ranks of; subtrees that a sweep checks.
local WOKEN, PAGE_BELOW, CORRECTED, CHECKED = 64, 128, 64, 4
local rouse = {}

-- Before the line of a subtree is walked: what is known of the lines below it is brought up to date, as far as it matters.
rouse.tend = function(ctx, node)
  if not ctx.trees or not tree.is(node) then
    return
  end
  local state = redis.call('HGET', ctx.p .. K_TREES, node)
  local key = ctx.p .. K_WAITS_BELOW .. node
  if state and state ~= '=' then
    return listing.grow(ctx, node, state)
  end
  for _ = 1, CORRECTED do
    local noted = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local first = noted[1] and listing.first_rank(ctx, noted[1])
    if not noted[1] or first == noted[2] then
      return
    elseif first then
      redis.call('ZADD', key, first, noted[1])
    else
      redis.call('ZREM', key, noted[1])
    end
  end
  leave(ctx, node)
end

local function wake_later(ctx, node)
  if redis.call('HSETNX', ctx.p .. K_WAKES, node, '0-') == 0 then
    local round = redis.call('HGET', ctx.p .. K_WAKES, node)
    redis.call('HSET', ctx.p .. K_WAKES, node, '1' .. string.sub(round, 2))
  end
end

-- Touches lines below the subtrees that this script has loosened. While one is held exclusively nothing below it can move,
-- but for offers that step back when it is newly wanted. Returns whether there are any.
rouse.below = function(ctx)
  local loose, woke = ctx.loose, false
  ctx.loose = nil
  for node, how in pairs(loose or {}) do
    local held = redis.call('HRANDFIELD', ctx.p .. K_HOLDERS .. node, 1, 'WITHVALUES')[2]
    if how == 'new' or not held or string.byte(held) ~= 120 then
      local names = redis.call('ZRANGE', ctx.p .. K_WAITS_BELOW .. node, 0, WOKEN - 1)
      for _, name in ipairs(names) do
        touch(ctx, name)
        woke = true
      end
      if how ~= 'new' and (#names == WOKEN or redis.call('HGET', ctx.p .. K_TREES, node) ~= '=') then
        wake_later(ctx, node)
      end
    end
    if not held and redis.call('EXISTS', ctx.p .. K_LINE .. node) == 0 then
      listing.uproot(ctx, node)
    end
  end
  return woke
end

local function wake_page(ctx, node, mark)
  local path, from = string.sub(node, 1, -4), string.sub(mark, 2)
  local names = redis.call('ZRANGEBYLEX', ctx.p .. K_RESOURCES, from == '-' and '[' .. path .. '/' or '(' .. from,
    '(' .. path .. '/\255', 'LIMIT', 0, PAGE_BELOW)
  local last = names[PAGE_BELOW]
  names[#names + 1] = from == '-' and path or nil
  local lines = {}
  for _, name in ipairs(names) do
    lines[#lines + 1] = redis.call('EXISTS', ctx.p .. K_LINE .. name) == 1 and name or nil
  end
  if lines[1] then
    redis.call('SADD', ctx.p .. K_DIRTY, unpack(lines))
    ctx.leaves = true
  end
  if last then
    redis.call('HSET', ctx.p .. K_WAKES, node, string.sub(mark, 1, 1) .. last)
  elseif string.sub(mark, 1, 1) == '1' then
    redis.call('HSET', ctx.p .. K_WAKES, node, '0-')
  else
    redis.call('HDEL', ctx.p .. K_WAKES, node)
    listing.none_left(ctx)
  end
end

-- What a sweep does: one page below one subtree, and a check that those that are listed are in use. Returns how much
-- there was to wake.
rouse.some = function(ctx)
  if not ctx.trees then
    return 0
  end
  for _, node in ipairs(redis.call('HRANDFIELD', ctx.p .. K_TREES, CHECKED)) do
    if redis.call('EXISTS', ctx.p .. K_HOLDERS .. node, ctx.p .. K_LINE .. node) == 0 then
      ctx.loose = ctx.loose or {}
      ctx.loose[node] = true
    end
  end
  local one = redis.call('HRANDFIELD', ctx.p .. K_WAKES, 1, 'WITHVALUES')
  if one[1] then
    wake_page(ctx, one[1], one[2])
  end
  return one[1] and 1 or 0
end
