-- The only code that writes a request's state. An illegal move is a fault of the script that asks for it: the
-- guards come first, so this error is never reached after a write of a correct script.
--@include states
--@include lib/emit
-- The everyday steps of jobs that need no resource are counted, but not streamed: they would drown the rest.
local ROUTINE = { ask = true, offer = true, claim = true, succeed = true }

local function move(ctx, r, event, ...)
  local to = next_state(r.state, event)
  if not to then
    error('illegal transition: ' .. r.state .. ' ' .. event)
  end
  redis.call('HSET', ctx.p .. K_REQ .. r.id, 'state', to, ...)
  ctx.stats[event] = (ctx.stats[event] or 0) + 1
  if r.needs or not ROUTINE[event] then
    emit(ctx, event, r.id, 'state', to, ...)
  end
  r.state = to
end
