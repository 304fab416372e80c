-- Judges one request: its record, its places, its clock, its session, its dedup key. Reading only.
--@include lib/whereabouts
--@include lib/dedup_audit
--@include lib/audit_line
--@include lib/needs_lost
local function audit_ghost(ctx, id, grace, seen, faults)
  local purged = tonumber(redis.call('ZSCORE', ctx.p .. K_DEAD, id) or nil)
  -- A dead job's record goes by its own time to live, the rest at the next sweep after that.
  local just_gone = purged and math.abs(ctx.now - purged - ctx.dead_ms) <= grace
  local proper = just_gone and { [K_DEAD] = 'may', [K_PAYLOADS] = 'may' } or {}
  for _, place in ipairs(improper_places(ctx, nil, id, proper, seen)) do
    faults[#faults + 1] = 'has no record, but is in ' .. place
  end
  for _, family in ipairs({ K_REQ, K_NEEDS, K_NOTE }) do
    if redis.call('PTTL', ctx.p .. family .. id) == -1 then
      faults[#faults + 1] = 'has no record, but ' .. family .. id .. ' is kept'
    end
  end
end

local function audit_record(ctx, r, life, faults)
  for _, family in ipairs({ K_REQ, K_NEEDS, K_NOTE }) do
    local ttl = redis.call('PTTL', ctx.p .. family .. r.id)
    if life == 'final' and ttl == -1 then
      faults[#faults + 1] = 'is over, but ' .. family .. r.id .. ' has no time to live'
    elseif life == 'live' and ttl >= 0 then
      faults[#faults + 1] = 'lives, but ' .. family .. r.id .. ' has a time to live'
    end
  end
  if life == 'live' and needs_lost(ctx, r) then
    faults[#faults + 1] = 'its needs are lost'
  end
  if life == 'live' and r.queue and redis.call('SISMEMBER', ctx.p .. K_QUEUES, r.queue) == 0 then
    faults[#faults + 1] = 'its queue is not registered'
  end
end

local function audit_places(ctx, r, grace, seen, faults)
  local proper = proper_places(ctx, r)
  for _, place in ipairs(improper_places(ctx, r, r.id, proper, seen)) do
    faults[#faults + 1] = 'is ' .. r.state .. ', but is in ' .. place
  end
  local ttl = redis.call('PTTL', ctx.p .. K_REQ .. r.id)
  if life_of(r.state) == 'final' and ttl >= 0 and ttl <= grace then
    -- Its record goes any moment, and what is kept with it goes at the next sweep or has gone with the last.
    return
  end
  for place, sort in pairs(proper) do
    if sort == 'must' and not stands_in(ctx, place, r.id) then
      faults[#faults + 1] = 'is ' .. r.state .. ', but is not in ' .. place
    end
  end
end

local function audit_hold(ctx, r, faults)
  for _, need in ipairs(needs_of(ctx, r)) do
    local value = redis.call('HGET', ctx.p .. K_HOLDERS .. need.resource, r.id)
    local holder = value and parse_holder(value)
    if holder and holder.mode and (holder.fence ~= r.fence or holder.session ~= r.session
      or holder.mode ~= need.mode or holder.permits ~= need.permits) then
      faults[#faults + 1] = 'does not hold ' .. need.resource .. ' as its record says'
    end
  end
end

-- What time has done to it and nobody has noticed for longer than `grace`.
local function audit_time(ctx, r, grace, faults)
  local latest = ctx.now - grace
  local clock = tonumber(redis.call('ZSCORE', ctx.p .. K_DEADLINES, r.id) or nil)
  local wanted = clock_of(r)
  if clock and clock <= latest then
    faults[#faults + 1] = 'its clock ran out'
  elseif clock and type(wanted) == 'number' and clock ~= wanted then
    faults[#faults + 1] = 'its clock is not the one in its record'
  end
  if r.state == 'scheduled' and tonumber(redis.call('ZSCORE', ctx.p .. K_SCHEDULED, r.id) or latest + 1) <= latest then
    faults[#faults + 1] = 'is due'
  end
  if r.state == 'waiting' and r.gate
    and tonumber(redis.call('ZSCORE', ctx.p .. K_CLOCKS, r.queue .. ' ' .. r.gate) or 0) <= latest then
    faults[#faults + 1] = 'nobody looks at the gate it waits at'
  end
  local expires = tonumber(r.session and redis.call('ZSCORE', ctx.p .. K_SESSIONS, r.session) or 0)
  if (r.kind == 'lock' or r.state == 'running') and expires <= latest then
    faults[#faults + 1] = 'its session has lapsed'
  end
end

local function audit_request(ctx, id, grace, seen)
  local faults, r = {}, load(ctx, id)
  local life = r and life_of(r.state)
  each_wrong_key(ctx, r, id, seen, function(_, fault) faults[#faults + 1] = fault end)
  if not r then
    audit_ghost(ctx, id, grace, seen, faults)
  elseif not life then
    faults[#faults + 1] = 'its state is none that there is'
  else
    audit_record(ctx, r, life, faults)
    audit_places(ctx, r, grace, seen, faults)
    if life == 'live' then
      audit_time(ctx, r, grace, faults)
    end
    if r.state == 'held' or r.state == 'running' then
      audit_hold(ctx, r, faults)
    elseif r.state == 'waiting' or r.state == 'ready' then
      audit_standing(ctx, r, faults)
    end
  end
  return faults
end
