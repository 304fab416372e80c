-- The limits of queues.
-- How many jobs lie in a queue, or in the schedule. Counted once in a script, and then on. A queue may have the name of
-- the schedule, so it goes by its key here.
local function queued(ctx, job)
  local lane = job.delay_ms and K_SCHEDULED or K_READY .. job.queue
  ctx.queued = ctx.queued or {}
  if not ctx.queued[lane] then
    ctx.queued[lane] = redis.call('ZCARD', ctx.p .. lane)
      + (job.delay_ms and 0 or redis.call('ZCARD', ctx.p .. K_WAITING .. job.queue))
  end
  return ctx.queued[lane], lane
end

local function queue_full(ctx, job)
  return queued(ctx, job) >= ctx.max_queue and { 'queue_full', job.queue, ctx.max_queue }
end
