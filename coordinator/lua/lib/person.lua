-- Who a request is, for people: id, kind, state, priority, since, session, live or lapsed, owner, reason, queue, name,
-- and as a holder what it holds.
--@include lib/send
local function person(ctx, id, holding)
  local v = redis.call('HMGET', ctx.p .. K_REQ .. id, 'kind', 'state', 'priority', 'since', 'session', 'queue', 'name')
  local note = redis.call('HMGET', ctx.p .. K_NOTE .. id, 'owner', 'reason')
  return { id, v[2] and (v[1] or 'job') or '', v[2] or '', v[2] and (v[3] or '1') or '', v[4] or '', v[5] or '', live(ctx, v[5]) and 'live' or 'lapsed',
    note[1] or '', note[2] or '', v[6] or '', v[7] or '', holding or '' }
end

local function persons(ctx, ids)
  local list = {}
  for i, id in ipairs(ids) do
    list[i] = person(ctx, id)
  end
  return list
end

local function holders_of(ctx, resource, most)
  local key, list = ctx.p .. K_HOLDERS .. resource, {}
  for i, id in ipairs(redis.call('HKEYS', key)) do
    if i > most then
      break
    end
    list[i] = person(ctx, id, redis.call('HGET', key, id))
  end
  return list
end
