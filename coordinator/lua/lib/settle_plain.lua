-- The success of a plain job that was claimed once: as `finish` leaves it behind, written out straight.
--@include lib/plain_job
--@include lib/places
--@include lib/health
local settle_plain = { SUCCEEDED = next_state(plain_job.RUNNING, 'succeed') }

-- Whether a record, as Redis gives it, is as `hand_out` leaves the record of one behind, under this lease.
function settle_plain.fits(v, session, fence)
  local at = v[11] == 'data2' and 13 or 11
  return v[at + 3] == fence and v[at + 1] == session and v[2] == plain_job.RUNNING and v[at] == 'session'
    and v[at + 2] == 'fence' and v[at + 4] == 'since' and v[at + 6] == 'deliveries' and not v[at + 8] and v[1] == 'state'
    and v[3] == 'stamp' and v[5] == 'name' and v[7] == 'queue' and v[9] == 'data'
end

-- The caller has seen that it runs under this lease; its result is empty if there is none.
function settle_plain.succeed(ctx, session, id, fence, v, result)
  local key, stats = ctx.p .. K_REQ .. id, ctx.stats
  if result ~= '' then
    redis.call('SET', ctx.p .. K_RESULT .. id, result, 'PX', ctx.result_words)
  end
  note_success(ctx, v[6])
  owners.leave(ctx, session, id)
  stats.succeed = (stats.succeed or 0) + 1
  redis.call('HSET', key, 'state', settle_plain.SUCCEEDED, 'ended', now_text(ctx), 'settled', fence, 'attempts', '1')
  if v[11] == 'data2' then
    redis.call('HDEL', key, 'data', 'data2')
  else
    redis.call('HDEL', key, 'data')
  end
  redis.call('PEXPIRE', key, ctx.result_words)
end
