-- The shortest way to a worker, for one plain job that was never handed out before: it leaves the same behind as `claim_jobs`
-- does. A worker that is idle asks for one.
--@include lib/plain
--@include lib/plain_job
-- The number is that of a claim that was not answered yet.
local function is_next(p, session, number)
  local batch = redis.call('GET', p .. K_BATCH .. session)
  local last = batch and string.match(batch, '^%d+')
  return not last or tonumber(last) < tonumber(number)
end

local function write_claim(meta, m, us, args, id, v)
  local p, session, queue = string.sub(meta, 1, -5), args[2], args[8]
  local fence = text(math.max(tonumber(m.tick) + 1, us))
  redis.call('ZREM', p .. K_READY .. queue, id)
  redis.call('SADD', p .. K_OWNS .. session, id)
  local job, waited = plain_job.hand_out({ p = p, us = us, now = math.floor(us / 1000) }, session, id, v, fence)
  redis.call('SET', p .. K_BATCH .. session, args[3] .. ' ' .. id)
  redis.call('HINCRBY', p .. K_STATS, 'claim', '1')
  if waited > 0 then
    redis.call('HINCRBY', p .. K_STATS, 'waited_ms', text(waited))
  end
  plain.keep_clock(meta, m, us, fence)
  return job
end

-- The answer, if this was the way. `m` is what stands in `meta`, `args` as in `claim`.
local function claim_alone(meta, m, us, args)
  local session, roomy, queue = args[2], args[6] == '1', args[8]
  if args[4] ~= '1' or not queue or args[9] or string.find(queue, '[= ]') or not plain.job_terms(m, us, args[1]) then
    return nil
  end
  local p = string.sub(meta, 1, -5)
  local expires = redis.call('ZSCORE', p .. K_SESSIONS, session)
  if not expires or tonumber(expires) <= us / 1000 or not is_next(p, session, args[3]) then
    return nil
  end
  local heads = redis.call('ZRANGE', p .. K_READY .. queue, '0', roomy and '1' or '0')
  local v = heads[1] and redis.call('HGETALL', p .. K_REQ .. heads[1])
  if not v or not plain_job.is_new(v) then
    return nil
  end
  local job, more = write_claim(meta, m, us, args, heads[1], v), not roomy or heads[2]
  if more then
    redis.call('ZREM', p .. K_IDLE .. queue, session)
  else
    redis.call('ZADD', p .. K_IDLE .. queue, text(math.floor(us / 1000)), session)
  end
  return { roomy and more and 'more' or 'ok', job }
end
