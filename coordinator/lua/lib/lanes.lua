-- The heads of the queues that share a worker by weights, or are shared by weights themselves.
--@include lib/share
--@include lib/index_some
local PRIORITIES = 5

-- The heads of one key, to be taken one after the other; their ranks only where queues are to be compared by them. `full`:
-- there may be more behind them.
local function lane_of(ctx, key, heads, ranked)
  local lane = { key = key, at = 1, step = ranked and 2 or 1 }
  if ranked then
    lane.page = redis.call('ZRANGE', ctx.p .. key, 0, heads - 1, 'WITHSCORES')
  else
    lane.page = redis.call('ZRANGE', ctx.p .. key, 0, heads - 1)
  end
  lane.full = #lane.page == heads * lane.step
  return lane
end

local function lane_busy(lane)
  return lane.page[lane.at] or lane.full
end

local function source_busy(source)
  for _, lane in ipairs(source.lanes) do
    if lane_busy(lane) then
      return true
    end
  end
end

-- A queue as a worker looks at it: one lane, or one for each priority and how they share.
local function source_of(ctx, queue, classes, heads, ranked)
  local share = classes and share_of(ctx, queue, classes)
  if not share or #share.weights ~= PRIORITIES then
    return { queue = queue, lanes = { lane_of(ctx, K_READY .. queue, heads, ranked) } }
  end
  if not is_shared(ctx, queue) then
    ctx.sharing = ctx.sharing or {}
    ctx.sharing[queue] = true
    keep_share(ctx, share)
  end
  index_some(ctx, queue, share)
  local source = { queue = queue, share = share, lanes = {} }
  for i = 1, PRIORITIES do
    source.lanes[i] = lane_of(ctx, class_of(queue, PRIORITIES - i), heads, ranked)
  end
  return source
end
