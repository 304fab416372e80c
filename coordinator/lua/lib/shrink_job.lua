-- How long a job waits for which nobody chose that, and whose lines are noted already. A delayed one comes to its queue
-- when nobody knows how full that is.
--@include lib/shrink
--@include lib/room
local function shrink_job(ctx, r, job)
  if job.least_ms and ctx.bands and not job.delay_ms then
    note_fill(r, 'queue', queued(ctx, job), ctx.bands[1].begins, ctx.max_queue)
  end
  return shrink(r, tonumber(job.wait_ms), tonumber(job.least_ms))
end
