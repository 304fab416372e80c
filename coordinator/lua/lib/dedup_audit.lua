-- The dedup keys that name a request, and what is wrong with each: a key must go when its job is over, unless it is
-- held for a time; then it must have that time to live.
--@include lives
local function dedup_fault(ctx, r, id, key)
  local value = redis.call('GET', ctx.p .. K_DEDUP .. key)
  local owner, till = string.match(value or '', '^(%S+) ?(%d*)$')
  if owner ~= id then
    return nil
  elseif till ~= '' then
    return redis.call('PTTL', ctx.p .. K_DEDUP .. key) == -1 and 'holds for ever a dedup key that was for a time'
  elseif not r then
    return 'has no record, but still holds a dedup key'
  elseif life_of(r.state) == 'final' then
    return 'is over, but still holds its dedup key'
  elseif r.dedup ~= key then
    return 'holds a dedup key that is not its own'
  elseif r.scope == 'until_started' and r.state == 'running' then
    return 'has started, but still holds its dedup key'
  end
end

-- Calls `act` with every wrong key and what is wrong with it.
local function each_wrong_key(ctx, r, id, seen, act)
  local keys = { r and r.dedup or nil }
  for _, place in ipairs(seen) do
    local key = string.sub(place, 1, #K_DEDUP) == K_DEDUP and string.sub(place, #K_DEDUP + 1)
    keys[#keys + 1] = key and key ~= keys[1] and key or nil
  end
  for _, key in ipairs(keys) do
    local fault = dedup_fault(ctx, r, id, key)
    if fault then
      act(key, fault)
    end
  end
end
