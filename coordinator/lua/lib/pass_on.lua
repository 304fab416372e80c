-- The shorter way from one holder of a plain lock to the next: where there is one permit, and the first in line is another
-- plain lock that is to be alone, nobody else can move. It leaves the same behind as `promote` and `commit` do.
--@include lib/plain
-- The record of the first in line, if it can have the resource just like that. Reading only.
local function plain_heir(place, m, resource)
  local id = not (m.nested or m.spare) and redis.call('ZRANGE', place.p .. K_LINE .. resource, '0', '0')[1]
  local r = id and load(place, id)
  if not (r and r.stamp and r.hold_ms and r.session) or r.state ~= 'waiting' or r.kind ~= 'lock' or r.needs ~= 'x1:' .. resource or out_of_time(place, r) then
    return nil
  end
  local expires = redis.call('ZSCORE', place.p .. K_SESSIONS, r.session)
  return expires and tonumber(expires) > place.now and r or nil
end

-- Gives it to the heir, whom a message tells. Returns that.
local function pass_on(meta, m, us, terms, place, resource, r)
  local p, id, session = place.p, r.id, r.session
  local number = text(math.max(tonumber(m.tick) + 1, us))
  local now, expires = text(place.now), text(place.now + r.hold_ms)
  local waited = math.max(0, math.floor((us - r.stamp) / 1000))
  redis.call('HSET', p .. K_HOLDERS .. resource, id, 'x 1 ' .. number .. ' ' .. session .. ' ' .. expires)
  redis.call('ZADD', p .. K_DEADLINES, expires, id)
  redis.call('HSET', p .. K_REQ .. id, 'state', plain.HELD, 'fence', number, 'since', now, 'expires', expires)
  redis.call('ZREM', p .. K_LINE .. resource, id)
  if terms.max_events ~= 0 then
    redis.call('XADD', p .. K_EVENTS, 'MAXLEN', '~', terms.events_words, '*', 'event', 'grant', 'id', id, 'ms', now,
      'state', plain.HELD, 'needs', r.needs, 'fence', number, 'since', now, 'expires', expires)
  end
  local said = 'granted ' .. id .. ' ' .. number .. ' ' .. text(r.hold_ms)
  redis.call('RPUSH', p .. K_INBOX .. session, said)
  redis.call('HINCRBY', p .. K_SESSION .. session, 'mail', '1')
  redis.call('HINCRBY', p .. K_STATS, 'release', '1')
  redis.call('HINCRBY', p .. K_STATS, 'grant', '1')
  if waited > 0 then
    redis.call('HINCRBY', p .. K_STATS, 'lock_waited_ms', text(waited))
  end
  plain.keep_clock(meta, m, us, number)
  return said
end
