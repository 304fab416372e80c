-- The shorter way out for a plain lock: it leaves the same behind as `finish` does.
--@include lib/plain
--@include lib/finish
-- Returns the resource and whether it is wanted or held still; without the resource nothing was done. The record, if
-- anybody looked. `args` as in `release`.
local function release_plain(meta, m, us, args)
  local terms = plain.lock_terms(m, us, args[1])
  local place, id = terms and { p = string.sub(meta, 1, -5) }, args[2]
  local r = terms and load(place, id)
  local resource = r and r.state == 'held' and r.kind == 'lock' and r.fence == args[3] and not r.dedup and not r.watched
    and plain.resource(r.needs or '')
  if not resource then
    return nil, false, r
  end
  local p, now = place.p, text(math.floor(us / 1000))
  local line, holders, record = p .. K_LINE .. resource, p .. K_HOLDERS .. resource, p .. K_REQ .. id
  redis.call('ZREM', p .. K_DEADLINES, id)
  redis.call('HDEL', holders, id)
  -- A line counts twice, so it is also known where nobody has it.
  local found = redis.call('EXISTS', line, line, holders)
  redis.call('HSET', record, 'state', plain.RELEASED, 'ended', now)
  if terms.max_events ~= 0 then
    redis.call('XADD', p .. K_EVENTS, 'MAXLEN', '~', terms.events_words, '*', 'event', 'release', 'id', id, 'ms', now,
      'state', plain.RELEASED, 'needs', r.needs, 'ended', now)
  end
  retain(place, r, terms.result_words)
  redis.call('SREM', p .. K_OWNS .. r.session, id)
  if found == 0 then
    redis.call('ZREM', p .. K_RESOURCES, resource)
    redis.call('HINCRBY', p .. K_STATS, 'release', '1')
  end
  return resource, found > 0, r, found == 2
end
