-- The shorter way out for a plain lock: it leaves the same behind as `finish` does, and what comes of it where nobody else
-- wants the resource, or the first in line can have it just like that.
--@include lib/plain
--@include lib/finish
--@include lib/pass_on
local function leave_plain(place, r, terms, now)
  redis.call('HSET', place.p .. K_REQ .. r.id, 'state', plain.RELEASED, 'ended', now)
  if terms.max_events ~= 0 then
    redis.call('XADD', place.p .. K_EVENTS, 'MAXLEN', '~', terms.events_words, '*', 'event', 'release', 'id', r.id,
      'ms', now, 'state', plain.RELEASED, 'needs', r.needs, 'ended', now)
  end
  retain(place, r, terms.result_words)
  redis.call('SREM', place.p .. K_OWNS .. r.session, r.id)
end

-- The answer, if that was all. Else the record, if anybody looked, and if the lock was left the resource and whether nobody
-- has it. `args` as in `release`.
local function release_plain(meta, m, us, args)
  local terms = plain.lock_terms(m, us, args[1])
  local place = terms and { p = string.sub(meta, 1, -5), now = math.floor(us / 1000) }
  local r = terms and load(place, args[2])
  local resource = r and r.state == 'held' and r.kind == 'lock' and r.fence == args[3] and not r.dedup and not r.watched
    and plain.resource(r.needs or '')
  if not resource or not plain.undefined(place.p, m, resource) then
    return nil, r
  end
  local p = place.p
  local line, holders, permits = p .. K_LINE .. resource, p .. K_HOLDERS .. resource, p .. K_DEF .. resource
  redis.call('ZREM', p .. K_DEADLINES, r.id)
  redis.call('HDEL', holders, r.id)
  -- A line counts twice, so it is also known where nobody has it; and more permits than one, which the next ones in line
  -- may have together, count four times.
  local found = redis.call('EXISTS', line, line, holders, permits, permits, permits, permits)
  leave_plain(place, r, terms, text(place.now))
  local heir = found == 2 and plain_heir(place, m, resource)
  if found % 4 == 0 then
    redis.call('ZREM', p .. K_RESOURCES, resource)
    redis.call('HINCRBY', p .. K_STATS, 'release', '1')
    return { 'ok' }
  elseif heir then
    local said = pass_on(meta, m, us, terms, place, resource, heir)
    return { 'ok', heir.session == r.session and said or nil }
  end
  return nil, r, resource, found % 4 == 2
end
