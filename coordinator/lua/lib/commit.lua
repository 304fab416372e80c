-- Ends a script that wrote: the clock, the counters, the bells for idle workers, and the resources left for later.
--@include lib/context
--@include lib/send
--@include lib/idle
--@include lib/leftovers
-- At most this many idle workers are woken by one script: waking more than there are jobs wins nothing.
local MAX_BELLS = 16

-- Wakes live idle workers of a queue, the longest idle first; each is rung once until it claims again.
local function ring(ctx, queue, wanted)
  local idle = ctx.p .. K_IDLE .. queue
  for _ = 1, MAX_BELLS do
    if wanted <= 0 then
      return
    end
    local popped = redis.call('ZPOPMIN', idle)
    if not popped[1] then
      return
    end
    if live(ctx, popped[1]) then
      no_longer_idle(ctx, popped[1], queue)
      send(ctx, popped[1], 'bell ' .. queue)
      wanted = wanted - 1
    end
  end
end

local function commit(ctx)
  mark_leftovers(ctx)
  for queue, wanted in pairs(ctx.bells) do
    ring(ctx, queue, wanted)
  end
  for name, count in pairs(ctx.stats) do
    if count ~= 0 then
      redis.call('HINCRBY', ctx.p .. K_STATS, name, text(count))
    end
  end
  local clock = {}
  if ctx.drawn then
    clock = { 'tick', text(ctx.tick) }
  end
  if ctx.save_clock then
    clock[#clock + 1], clock[#clock + 2] = 'clock', text(ctx.us)
  end
  if ctx.skew then
    clock[#clock + 1], clock[#clock + 2] = 'skew', text(ctx.skew)
  end
  if clock[1] then
    redis.call('HSET', ctx.meta, unpack(clock))
  end
end
