-- A handler that no worker has told of for a week is forgotten: those that live tell of theirs again once a day.
--@include lib/declare
local FORGOTTEN_MS, MANY = 604800000, 64

local function forget_gates(ctx)
  local old = redis.call('ZRANGEBYSCORE', ctx.p .. K_TOLD, '-inf', text(ctx.now - FORGOTTEN_MS), 'LIMIT', 0, MANY)
  if old[1] then
    redis.call('ZREM', ctx.p .. K_TOLD, unpack(old))
    redis.call('HDEL', ctx.p .. K_GATES, unpack(old))
    redis.call('HDEL', ctx.meta, 'gates_full')
    note_limits(ctx)
  end
  return #old
end
