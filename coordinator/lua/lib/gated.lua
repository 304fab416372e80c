-- Jobs that wait at a gate. They leave the ready set and their lines, so that nobody meets them again and again and
-- nobody on a line waits for them; their rank is that of their arrival, so they come back to the place they had. A job
-- stands at one gate at a time, the first that is closed.
--@include lib/admit
--@include lib/enqueue
-- Jobs, and clocks, that one script lets through and looks at. Not fewer than a worker claims at once: what a gate lets
-- through must be on offer before newer jobs of the same handler are looked at.
local MAX_PASSING, MAX_DUE_CLOCKS = 64, 32
-- Pauses between two looks at a breaker that jobs wait at, in ms: half open every second, for probes that have died, or
-- sooner if one loses its place before that; open every five, so that nothing stands still whatever becomes of what it
-- remembers.
local PROBE_PAUSE, LEAST_PAUSE, OPEN_PAUSE = 1000, 50, 5000

local function looked_at_next(ctx, g)
  if g.kind ~= 'breaker' then
    return math.max(ctx.now + 1, limit_next(ctx, g))
  elseif g.state == 'open' then
    return math.min(tonumber(g['until']), ctx.now + OPEN_PAUSE)
  end
  local unbegun = ctx.now + math.min(PROBE_PAUSE, math.max(LEAST_PAUSE, g.numbers[3] or PROBE_PAUSE))
  return g.state and math.min(unbegun, g.place_ends or unbegun) or ctx.now
end

local function hold_at(ctx, r, g)
  local rank = rank_of(ctx, r)
  leave_lines(ctx, r)
  redis.call('ZADD', ctx.p .. K_WAITING .. r.queue, rank, r.id)
  redis.call('ZADD', ctx.p .. K_GATED .. g.name .. ':' .. r.queue, rank, r.id)
  r.gate = g.name
  local held = g.kind == 'breaker' and 'held_by_breaker' or 'held_by_limit'
  ctx.stats[held] = (ctx.stats[held] or 0) + 1
  move(ctx, r, 'gate', 'gate', g.name, 'gated', text(ctx.now))
  set_clock(ctx, g.name, r.queue, g.woken and ctx.now or looked_at_next(ctx, g))
end

local function let_go(ctx, r)
  redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'gate', 'gated')
  r.gate = nil
  if r.needs then
    join_lines(ctx, r)
  else
    redis.call('ZREM', ctx.p .. K_WAITING .. r.queue, r.id)
    offer(ctx, r)
  end
end

-- Lets the first jobs of one queue through one gate, as many as it has room for. Returns how many were looked at.
local function open_gate(ctx, g, queue, most)
  local key = ctx.p .. K_GATED .. g.name .. ':' .. queue
  local count = math.min(room_at(ctx, g), most)
  local ids = count > 0 and redis.call('ZRANGE', key, 0, count - 1) or {}
  for _, id in ipairs(ids) do
    local r = load(ctx, id)
    if r and r.state == 'waiting' and r.gate == g.name and r.queue == queue then
      let_go(ctx, r)
    end
  end
  if #ids > 0 then
    redis.call('ZREM', key, unpack(ids))
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', ctx.p .. K_CLOCKS, queue .. ' ' .. g.name)
  else
    set_clock(ctx, g.name, queue, looked_at_next(ctx, g))
  end
  return #ids
end

-- A gate's own clock, with no jobs: what time has changed of it.
local function look_at_gate(ctx, g)
  local again = g.kind == 'breaker' and breaker_room(ctx, g) ~= math.huge or g.kind ~= 'breaker' and closed_until(ctx, g)
  if g.failed and #counting(ctx, g) > 0 then
    set_clock(ctx, g.name, '', ctx.now + g.numbers[4])
  elseif again then
    set_clock(ctx, g.name, '', g.state == 'half_open' and ctx.now + 60000 or tonumber(g['until']))
  else
    redis.call('ZREM', ctx.p .. K_CLOCKS, ' ' .. g.name)
  end
end

-- Looks at the gates whose clocks are due. Returns how many.
local function pass_due(ctx)
  if not ctx.clocked then
    return 0
  end
  local due = redis.call('ZRANGEBYSCORE', ctx.p .. K_CLOCKS, '-inf', text(ctx.now), 'LIMIT', 0, MAX_DUE_CLOCKS)
  local left = MAX_PASSING
  for _, clock in ipairs(due) do
    local queue, name = string.match(clock, '^(%S*) (%S+)$')
    if not name then
      redis.call('ZREM', ctx.p .. K_CLOCKS, clock)
    elseif queue == '' then
      look_at_gate(ctx, gate(ctx, name))
    elseif left > 0 then
      left = left - open_gate(ctx, gate(ctx, name), queue, left)
    end
  end
  if #due == 0 and redis.call('EXISTS', ctx.p .. K_CLOCKS) == 0 then
    redis.call('HDEL', ctx.meta, 'gates')
    ctx.clocked = false
  end
  return #due
end
