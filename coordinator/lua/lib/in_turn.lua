-- Calls of a worker that say what is spare and what is not are counted, for they come by two connections: one that was
-- overtaken speaks of jobs that may have begun since. Returns whether this one counts.
--@include lib/context
local function in_turn(ctx, session, number)
  local key = ctx.p .. K_SESSION .. session
  local last = tonumber(redis.call('HGET', key, 'spared') or nil) or 0
  if last < number then
    redis.call('HSET', key, 'spared', text(number))
  end
  return last <= number
end
