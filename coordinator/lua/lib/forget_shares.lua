-- What has not been shared for an hour is forgotten, and with it the index of its queue: nobody keeps up what nobody uses.
-- Should it be shared again, all begin with the same turns, and the index is made anew.
--@include lib/classes
local UNUSED_MS = 3600000

local function forget_shares(ctx)
  local shares = ctx.p .. K_SHARES
  local kept = ctx.shares and redis.call('HGETALL', shares) or {}
  for i = 1, #kept, 2 do
    local used = tonumber(string.match(kept[i + 1], '^%d+') or 0)
    if used + UNUSED_MS <= ctx.now then
      redis.call('HDEL', shares, kept[i])
      ctx.sharing = nil
      for priority = 0, 4 do
        redis.call('UNLINK', ctx.p .. class_of(kept[i], priority))
      end
    end
  end
  if ctx.shares and redis.call('EXISTS', shares) == 0 then
    redis.call('HDEL', ctx.meta, 'shares')
    ctx.shares = false
  end
end
