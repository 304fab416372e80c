-- The shortest way to a worker, for one plain job that was never handed out before: it leaves the same behind as `claim_jobs`
-- does. A worker that is idle asks for one.
--@include lib/plain
-- Whether a record, as Redis gives it, is as `submit_plain` writes it: other fields come behind these.
local function is_new(v)
  return v[2] == plain.READY and v[1] == 'state' and v[3] == 'stamp' and tonumber(v[4]) and v[5] == 'name' and v[7] == 'queue'
    and v[9] == 'data' and (not v[11] or (v[11] == 'data2' and not v[13]))
end

-- The number is that of a claim that was not answered yet.
local function is_next(p, session, number)
  local batch = redis.call('GET', p .. K_BATCH .. session)
  local last = batch and string.match(batch, '^%d+')
  return not last or tonumber(last) < tonumber(number)
end

local function write_claim(meta, m, us, args, id, v)
  local p, session, queue = string.sub(meta, 1, -5), args[2], args[8]
  local ms, stamp = math.floor(us / 1000), tonumber(v[4])
  local fence, now, waited = text(math.max(tonumber(m.tick) + 1, us)), text(ms), math.max(0, math.floor((us - stamp) / 1000))
  redis.call('ZREM', p .. K_READY .. queue, id)
  redis.call('SADD', p .. K_OWNS .. session, id)
  redis.call('HSET', p .. K_REQ .. id, 'state', plain.RUNNING, 'session', session, 'fence', fence, 'since', now,
    'deliveries', '1')
  redis.call('SET', p .. K_BATCH .. session, args[3] .. ' ' .. id)
  redis.call('HINCRBY', p .. K_STATS, 'claim', '1')
  if waited > 0 then
    redis.call('HINCRBY', p .. K_STATS, 'waited_ms', text(waited))
  end
  plain.keep_clock(meta, m, us, fence)
  return { id, fence, v[6], v[8], 1, 0, 1, '', '', '', '', v[10] .. (v[12] or ''), '',
    math.max(0, ms - math.floor(stamp / 1000)) }
end

-- The answer, if this was the way. `m` is what stands in `meta`, `args` as in `claim`.
local function claim_alone(meta, m, us, args)
  local session, roomy, queue = args[2], args[6] == '1', args[8]
  if args[4] ~= '1' or args[9] or string.find(queue, '[= ]') or not plain.job_terms(m, us, args[1]) then
    return nil
  end
  local p = string.sub(meta, 1, -5)
  local expires = redis.call('ZSCORE', p .. K_SESSIONS, session)
  if not expires or tonumber(expires) <= us / 1000 or not is_next(p, session, args[3]) then
    return nil
  end
  local heads = redis.call('ZRANGE', p .. K_READY .. queue, '0', roomy and '1' or '0')
  local v = heads[1] and redis.call('HGETALL', p .. K_REQ .. heads[1])
  if not v or not is_new(v) then
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
