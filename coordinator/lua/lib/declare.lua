-- Notes what gates the jobs of handlers have to pass. In `meta` stands whether any of them limits its rate: only then
-- is there something to look at while no breaker has anything to say.
-- As many handlers as a namespace is likely to have; what comes beyond has no gates.
local MAX_HANDLERS = 10000

local function declare(ctx, gates)
  local key = ctx.p .. K_GATES
  if #gates == 0 or redis.call('HLEN', key) > MAX_HANDLERS then
    return
  end
  redis.call('HSET', key, unpack(gates))
  for _, told in ipairs(redis.call('HVALS', key)) do
    if string.find(' ' .. told, ' rate/[^ :]+:') or string.find(' ' .. told, ' adaptive/', 1, true) then
      redis.call('HSET', ctx.meta, 'limits', 1)
      return
    end
  end
  redis.call('HDEL', ctx.meta, 'limits')
end
