-- A plain job, about which nothing is said, that was never handed out before: as `hand_out` leaves it behind, written out
-- straight. Measured: with the same for its end (lib/settle_plain) a job that is settled while the next is claimed takes 170
-- thousand instructions of the server, and 260 the longer way.
--@include states
--@include lib/context
local plain_job = {}
plain_job.READY = next_state(next_state('new', 'ask'), 'offer')
plain_job.RUNNING = next_state(plain_job.READY, 'claim')

-- Whether a record, as Redis gives it, is as `submit_plain` writes it: other fields come behind these.
function plain_job.is_new(v)
  return v[2] == plain_job.READY and v[1] == 'state' and v[3] == 'stamp' and tonumber(v[4]) and v[5] == 'name'
    and v[7] == 'queue' and v[9] == 'data' and (not v[11] or (v[11] == 'data2' and not v[13]))
end

-- The caller has seen that it is new, takes it out of its queue, and notes whose it is. Returns what the worker is told, and
-- how many ms it has waited.
function plain_job.hand_out(ctx, session, id, v, fence)
  local now, stamp = now_text(ctx), tonumber(v[4])
  redis.call('HSET', ctx.p .. K_REQ .. id, 'state', plain_job.RUNNING, 'session', session, 'fence', fence, 'since', now,
    'deliveries', '1')
  return { id, fence, v[6], v[8], 1, 0, 1, '', '', '', '', v[12] and v[10] .. v[12] or v[10], '',
    math.max(0, ctx.now - math.floor(stamp / 1000)) }, math.max(0, math.floor((ctx.us - stamp) / 1000))
end
