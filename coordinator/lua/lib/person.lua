-- Who a request is, for people: id, kind, state, priority, since, session, live or lapsed, owner, reason, queue, name,
-- and as a holder what it holds, as one who waits mode and permits of what it waits for.
--@include lib/send
--@include lib/request
local function wanted(ctx, id, needs, resource)
  local need = need_on(ctx, { id = id, needs = needs }, resource)
  return need and need.mode .. ' ' .. need.permits or ''
end

-- `resource`: what it waits for, as far as that matters.
local function person(ctx, id, holding, resource)
  local v = redis.call('HMGET', ctx.p .. K_REQ .. id, 'kind', 'state', 'priority', 'since', 'session', 'queue', 'name',
    'needs')
  local note = redis.call('HMGET', ctx.p .. K_NOTE .. id, 'owner', 'reason')
  return { id, v[2] and (v[1] or 'job') or '', v[2] or '', v[2] and (v[3] or '1') or '', v[4] or '', v[5] or '',
    live(ctx, v[5]) and 'live' or 'lapsed', note[1] or '', note[2] or '', v[6] or '', v[7] or '',
    holding or resource and wanted(ctx, id, v[8], resource) or '' }
end

local function persons(ctx, ids, resource)
  local list = {}
  for i, id in ipairs(ids) do
    list[i] = person(ctx, id, nil, resource)
  end
  return list
end

-- At most so many of the holders, without the first `past`; and how many there are. Those who are few are read in one go.
local function holders_of(ctx, resource, most, past)
  local key, list = ctx.p .. K_HOLDERS .. resource, {}
  local count = redis.call('HLEN', key)
  past = past or 0
  if past == 0 and count <= most then
    local held = count > 0 and redis.call('HGETALL', key) or {}
    for i = 1, #held, 2 do
      list[#list + 1] = person(ctx, held[i], held[i + 1])
    end
    return list, count
  end
  local ids = redis.call('HKEYS', key)
  for i = past + 1, math.min(#ids, past + most) do
    list[i - past] = person(ctx, ids[i], redis.call('HGET', key, ids[i]))
  end
  return list, count
end
