-- `rerun` keeps at most one job active and one waiting per dedup key. A job that gives up its lease without ending
-- either takes its key back, so that newer data replaces its payload, or finds it taken: then it is superseded, and
-- the one that waits under the key carries the newer data.
local function superseded(ctx, r)
  if r.on_conflict ~= 'rerun' then
    return false
  end
  local key = ctx.p .. K_DEDUP .. r.dedup
  local owner = redis.call('GET', key)
  if owner then
    return string.match(owner, '^%S+') ~= r.id
  end
  redis.call('SET', key, r.id)
  return false
end
