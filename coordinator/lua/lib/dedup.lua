-- Who holds a dedup key: `<id>` while that job is there, or `<id> <until ms>` for a key that is held for a time.
--@include lib/request
local function dedup_owner(ctx, key)
  local value = redis.call('GET', ctx.p .. K_DEDUP .. key)
  if not value then
    return nil
  end
  local id, till = string.match(value, '^(%S+) ?(%d*)$')
  if till ~= '' and tonumber(till) <= ctx.now then
    return nil
  end
  return load(ctx, id)
end

local function claim_key(ctx, r, ttl_ms)
  local key = ctx.p .. K_DEDUP .. r.dedup
  if r.scope == 'ttl' then
    redis.call('SET', key, r.id .. ' ' .. text(ctx.now + ttl_ms), 'PX', ttl_ms)
  else
    redis.call('SET', key, r.id)
  end
end
