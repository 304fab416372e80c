-- The shorter way in for a job about which nothing is said and whose record is not there: it leaves the same behind.
-- Measured: 5.4 in place of 8.1 us of the server for each of a thousand. `job` has id, name, queue, priority and payload.
--@include states
--@include lib/enqueue
--@include lib/kept_out
--@include lib/request
--@include lib/shed
-- Its first two steps, in the one write that makes its record.
local PLAIN_STATE = next_state(next_state('new', 'ask'), 'offer')

local function begin_plain(ctx, id, ...)
  local stats = ctx.stats
  stats.ask, stats.offer = (stats.ask or 0) + 1, (stats.offer or 0) + 1
  redis.call('HSET', ctx.p .. K_REQ .. id, 'state', PLAIN_STATE, ...)
end

local function submit_plain(ctx, job)
  local id, payload = job.id, job.payload
  ctx.fresh[id] = nil
  local full = kept_out(ctx, job)
  if full then
    return full
  end
  ctx.wrote = true
  job.stamp = draw(ctx)
  count_in(ctx, job)
  local stamp = text(job.stamp)
  if #payload > SHORT then
    begin_plain(ctx, id, 'stamp', stamp, 'name', job.name, 'queue', job.queue,
      'data', string.sub(payload, 1, SHORT), 'data2', string.sub(payload, SHORT + 1))
  else
    begin_plain(ctx, id, 'stamp', stamp, 'name', job.name, 'queue', job.queue, 'data', payload)
  end
  put_offer(ctx, job)
  bell(ctx, job.queue)
end

local function is_plain(ctx, job, options)
  return options == 0 and job.priority == 1 and #job.payload <= 2 * SHORT and ctx.fresh[job.id]
end
