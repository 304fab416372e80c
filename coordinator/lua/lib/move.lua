-- The only code that writes a request's state. An illegal move is a fault of the script that asks for it: the
-- guards come first, so this error is never reached after a write of a correct script.
--@include states
--@include lib/emit
-- The everyday steps of jobs that need no resource are counted, but not streamed: they would drown the rest.
local ROUTINE = { ask = true, offer = true, gate = true, claim = true, succeed = true }
-- Under these names the time between asking and having is added up: with the count of the event it is the mean wait.
local WAITED = { claim = 'waited_ms', grant = 'lock_waited_ms' }

local function step(ctx, r, event)
  local to = next_state(r.state, event)
  if not to then
    error('illegal transition: ' .. r.state .. ' ' .. event)
  end
  ctx.stats[event] = (ctx.stats[event] or 0) + 1
  local waited = WAITED[event]
  if waited and r.stamp then
    ctx.stats[waited] = (ctx.stats[waited] or 0) + math.max(0, math.floor((ctx.us - r.stamp) / 1000))
  end
  r.state = to
end

-- With a new request go its first fields, which no event tells of: the payload is among them.
local function write(ctx, r, ...)
  local first = r.first
  if not first then
    redis.call('HSET', ctx.p .. K_REQ .. r.id, 'state', r.state, ...)
    return
  end
  local count = #first
  for i = 1, select('#', ...) do
    first[count + i] = select(i, ...)
  end
  redis.call('HSET', ctx.p .. K_REQ .. r.id, 'state', r.state, unpack(first))
  r.first = nil
end

local function move(ctx, r, event, ...)
  step(ctx, r, event)
  write(ctx, r, ...)
  if r.needs or not ROUTINE[event] then
    emit(ctx, event, r, ...)
  end
end
