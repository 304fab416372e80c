-- Ends a script that wrote: the clock, the counters, the bells for idle workers, and the resources left for later.
--@include lib/context
--@include lib/idle
--@include lib/leftovers
local function commit(ctx)
  mark_leftovers(ctx)
  for queue, wanted in pairs(ctx.bells) do
    idle.ring(ctx, queue, wanted)
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
