-- Tells the processes that keep copies of answers which of these are out of date. One call tells so many of them, and
-- says after whom the next one goes on; the answers themselves went before, so a copy made in between is a new one.
--@include lib/send
local MAX_TOLD, MAX_NAMED = 500, 16

-- Returns the last session told, or empty when that was all of them.
local function tell_near(ctx, after, keys)
  local named = #keys <= MAX_NAMED and table.concat(keys, ' ') or '*'
  local told = redis.call('ZRANGEBYLEX', ctx.p .. K_NEAR, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, MAX_TOLD)
  for _, session in ipairs(told) do
    send(ctx, session, 'stale ' .. named)
  end
  return told[MAX_TOLD] or ''
end
