-- A claimed job that its worker cannot begin is spare: until the worker has taken it back it begins nowhere, and whoever
-- is idle may have it. Its record says so (`spare`: its place in what the worker has not begun, and since when), and
-- whatever ends its lease ends that. As long as `meta` has a mark there may be such jobs; the sweep takes it away.
--@include lib/context
local function no_longer_spare(ctx, r)
  redis.call('ZREM', ctx.p .. K_SPARE .. r.queue, r.id)
  redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'spare')
  r.spare = nil
end

-- Calls of a worker that say what is spare and what is not are counted, for they come by two connections: one that was
-- overtaken speaks of jobs that may have begun since. Returns whether this one counts.
local function in_turn(ctx, session, number)
  local key = ctx.p .. K_SESSION .. session
  local last = tonumber(redis.call('HGET', key, 'spared') or nil) or 0
  if last < number then
    redis.call('HSET', key, 'spared', text(number))
  end
  return last <= number
end
