-- Where a request is, and where its state says it should be. A place is a key of the namespace without its prefix
-- (`ready:default`, `payloads`) in which the request stands under its id.
--@include lives
--@include lib/places
--@include lib/by_owner
local function commands_of(place)
  for _, one in ipairs({ { K_LINE, 'ZSCORE', 'ZREM' }, { K_READY, 'ZSCORE', 'ZREM' }, { K_WAITING, 'ZSCORE', 'ZREM' },
    { K_GATED, 'ZSCORE', 'ZREM' }, { K_CLASS, 'ZSCORE', 'ZREM' }, { K_SPARE, 'ZSCORE', 'ZREM' },
    { K_SCHEDULED, 'ZSCORE', 'ZREM' }, { K_DEADLINES, 'ZSCORE', 'ZREM' }, { K_DEAD, 'ZSCORE', 'ZREM' },
    { K_NESTED, 'ZSCORE', 'ZREM' }, { K_FLOW, 'SISMEMBER', 'SREM' },
    { K_BY_OWNER, 'ZSCORE', 'ZREM' }, { K_OWNS, 'SISMEMBER', 'SREM' }, { K_HOLDERS, 'HEXISTS', 'HDEL' }, { K_PAYLOADS, 'HEXISTS', 'HDEL' } }) do
    local many = string.sub(one[1], -1) == ':'
    if place == one[1] or (many and string.sub(place, 1, #one[1]) == one[1]) then
      return one[2], one[3], many and string.sub(place, #one[1] + 1)
    end
  end
end

local function stands_in(ctx, place, id)
  local look = commands_of(place)
  local found = look and redis.call(look, ctx.p .. place, id)
  return found and found ~= 0
end

local function remove_from(ctx, place, id)
  local _, remove, member = commands_of(place)
  redis.call(remove, ctx.p .. place, id)
  if place == K_LINE .. (member or '') or place == K_HOLDERS .. (member or '') then
    retire_resource(ctx, member)
    touch(ctx, member)
  end
end

-- When the request's clock rings: a number, nil for none, or `may` for a run that need not have one.
local function clock_of(r)
  if r.state == 'held' then
    return r.expires
  elseif r.state == 'running' then
    return r.needs and 'must' or 'may'
  end
  return r.wait_by and r.end_by and math.min(r.wait_by, r.end_by) or r.wait_by or r.end_by
end

-- The places of a request that lives or is over, each with `must` or `may`.
local function proper_places(ctx, r)
  if life_of(r.state) == 'final' then
    local kept = r.state == 'failed' or r.state == 'dead'
    return kept and { [K_DEAD] = 'must', [K_PAYLOADS] = not r.data and 'must' or nil } or {}
  end
  local proper, has = {}, r.state == 'held' or r.state == 'running'
  local at_gate = r.state == 'waiting' and r.gate
  if at_gate then
    -- Meanwhile it stands in no line.
    proper[K_GATED .. r.gate .. ':' .. r.queue] = 'must'
  elseif r.state ~= 'scheduled' then
    for _, need in ipairs(needs_of(ctx, r)) do
      proper[(has and K_HOLDERS or K_LINE) .. need.resource] = 'must'
    end
  end
  if r.kind == 'job' and not r.data then
    proper[K_PAYLOADS] = 'must'
  end
  if r.kind == 'lock' or has then
    proper[K_OWNS .. (r.session or '')] = 'must'
    if r.spare then
      proper[K_SPARE .. r.queue] = 'must'
    end
  elseif r.state == 'scheduled' then
    proper[K_SCHEDULED] = 'must'
  else
    proper[(r.state == 'ready' and K_READY or K_WAITING) .. r.queue] = 'must'
    -- What an index lacks comes into it when it is next used.
    proper[class_of(r.queue, r.priority)] = r.state == 'ready' and 'may' or nil
  end
  if r.flow and r.state == 'waiting' then
    proper[K_NESTED], proper[K_FLOW .. r.flow] = 'must', 'must'
  end
  local owner = owner_place(ctx, r)
  if owner then
    proper[owner] = 'must'
  end
  local clock = clock_of(r)
  proper[K_DEADLINES] = clock and (clock == 'may' and 'may' or 'must')
  return proper
end

-- Where to look for the request: `seen`, and everywhere its own record points to.
local function possible_places(ctx, r, seen)
  local places = { K_PAYLOADS, K_SCHEDULED, K_DEADLINES, K_DEAD, K_NESTED, r and r.flow and K_FLOW .. r.flow }
  for _, place in ipairs(seen) do
    places[#places + 1] = commands_of(place) and place
  end
  if r and r.queue then
    places[#places + 1], places[#places + 2] = K_READY .. r.queue, K_WAITING .. r.queue
    places[#places + 1] = K_SPARE .. r.queue
    places[#places + 1] = r.gate and K_GATED .. r.gate .. ':' .. r.queue or nil
  end
  places[#places + 1] = r and owner_place(ctx, r)
  if r and r.session then
    places[#places + 1] = K_OWNS .. r.session
  end
  for _, need in ipairs(r and needs_of(ctx, r) or {}) do
    places[#places + 1], places[#places + 2] = K_LINE .. need.resource, K_HOLDERS .. need.resource
  end
  return places
end

-- The places where the request stands although it should not, each once.
local function improper_places(ctx, r, id, proper, seen)
  local found, known = {}, {}
  for _, place in ipairs(possible_places(ctx, r, seen)) do
    if not proper[place] and not known[place] and stands_in(ctx, place, id) then
      found[#found + 1] = place
    end
    known[place] = true
  end
  return found
end
