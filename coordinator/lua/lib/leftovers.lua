-- Lines that a script has not walked to their end, because its work is bounded. They are kept in a set, and a mark in
-- `meta`, which every script reads, has the next one take them up. So that this is soon even where nobody calls, the
-- session that was granted something last is told, and beats at once.
--@include lib/context
--@include lib/send
local MAX_TAKEN = 64

local function leave(ctx, resource)
  redis.call('SADD', ctx.p .. K_DIRTY, resource)
  ctx.leaves = true
end

-- Their walks are thorough: on a line that was left in the middle an offer may stand behind somebody who comes first.
local function take_up(ctx)
  local taken = redis.call('SPOP', ctx.p .. K_DIRTY, MAX_TAKEN)
  for _, resource in ipairs(taken) do
    touch(ctx, resource)
    ctx.thorough = true
  end
  ctx.leftover, ctx.leaves = false, #taken == MAX_TAKEN
  return #taken
end

local function mark_leftovers(ctx)
  if ctx.leaves then
    redis.call('HSET', ctx.meta, 'left', 1)
    send(ctx, ctx.granted, 'left')
  elseif ctx.marked and not ctx.leftover then
    redis.call('HDEL', ctx.meta, 'left')
  end
end
