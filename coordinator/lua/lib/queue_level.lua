-- The level of a queue. The levels stand in a hash, and a mark in `meta`, which every script reads, says that there are any:
-- below the soft limit all of this is a comparison. Only jobs that are let in write a level: what is refused changes no
-- count, and so no level.
--@include lib/emit
--@include lib/overload
local function level_before(ctx, queue)
  ctx.levels = ctx.levels or {}
  if not ctx.levels[queue] then
    ctx.levels[queue] = ctx.shed and tonumber(redis.call('HGET', ctx.p .. K_SHEDDING, queue) or 0) or 0
  end
  return ctx.levels[queue]
end

-- One more has come to the `count` jobs that a queue had.
local function note_level(ctx, queue, count)
  local level = level_of(ctx, level_of(ctx, level_before(ctx, queue), count), count + 1)
  local levels = ctx.p .. K_SHEDDING
  if level == level_before(ctx, queue) then
    return
  end
  ctx.levels[queue] = level
  emit(ctx, 'overload', queue, 'level', level, 'count', count + 1, 'limit', ctx.max_queue)
  if level > 0 then
    redis.call('HSET', levels, queue, level)
    redis.call('HSET', ctx.meta, 'shed', 1)
    ctx.shed = '1'
    return
  end
  redis.call('HDEL', levels, queue)
  if redis.call('EXISTS', levels) == 0 then
    redis.call('HDEL', ctx.meta, 'shed')
    ctx.shed = false
  end
end
