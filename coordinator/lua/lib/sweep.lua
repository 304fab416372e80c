-- Takes back, in bounded batches, what dead sessions held and what ran out of time. Any script may run it; correctness
-- does not wait for it, because `promote` evicts whatever lapsed on the lines it touches.
--@include lib/settle_lines
--@include lib/reap
--@include lib/requeue
--@include lib/gated
--@include lib/stranded
--@include lib/thaw
--@include lib/wake
--@include lib/frozen
--@include lib/untangle
--@include lib/preempt
--@include lib/forget_shares
--@include lib/forget_gates
--@include lib/memory
local MAX_DUE = 64

local function due(ctx, key, limit)
  return redis.call('ZRANGEBYSCORE', ctx.p .. key, '-inf', text(ctx.now), 'LIMIT', 0, limit)
end

local function clock_ran_out(ctx, id)
  if halts.end_delay(ctx, id) then
    return
  end
  local r = load(ctx, id)
  if not r or not (r.state == 'held' or next_state(r.state, 'expire')) then
    -- The error of an illegal move would stop every heartbeat of the namespace.
    redis.call('ZREM', ctx.p .. K_DEADLINES, id)
  elseif r.state == 'held' then
    lapse(ctx, r, 'lease ended')
  elseif r.state == 'running' then
    lapse(ctx, r, 'run timeout')
  else
    local owner = r.kind == 'lock' and r.session
    finish(ctx, r, 'expire', 'why', out_of_time(ctx, r) or 'wait ran out')
    send(ctx, owner, 'ended ' .. id .. ' ' .. r.state)
  end
end

local function purge_dead(ctx)
  local old = redis.call('ZRANGEBYSCORE', ctx.p .. K_DEAD, '-inf', text(ctx.now - ctx.dead_ms), 'LIMIT', 0, MAX_DUE)
  for _, id in ipairs(old) do
    redis.call('ZREM', ctx.p .. K_DEAD, id)
    redis.call('HDEL', ctx.p .. K_PAYLOADS, id)
    redis.call('DEL', ctx.p .. K_REQ .. id, ctx.p .. K_NEEDS .. id, ctx.p .. K_NOTE .. id)
  end
  return #old
end

-- Returns how much was found, so that the caller knows whether to come again at once.
local function sweep(ctx)
  local found = reap.dead(ctx, due(ctx, K_SESSIONS, reap.MAX_SESSIONS))
  for _, id in ipairs(due(ctx, K_DEADLINES, MAX_DUE)) do
    clock_ran_out(ctx, id)
    found = found + 1
  end
  for _, id in ipairs(due(ctx, K_SCHEDULED, MAX_DUE)) do
    requeue(ctx, id)
    found = found + 1
  end
  found = found + circles.untangle_some(ctx) + thawing.due(ctx) + rouse.some(ctx) + take_up(ctx) + pass_due(ctx)
  settle_lines(ctx)
  preempt.due(ctx)
  write_gates(ctx)
  ring_stranded(ctx)
  forget_shares(ctx)
  watch_memory(ctx, 'sweep')
  redis.call('HSET', ctx.meta, 'swept', text(ctx.now))
  return found + forget_gates(ctx) + purge_dead(ctx)
end

-- Milliseconds until the next clock of the namespace rings, at most `limit`.
local function next_due(ctx, limit)
  local wait = (ctx.leftover or ctx.leaves) and 0 or limit
  for _, key in ipairs({ K_DEADLINES, K_SCHEDULED, K_SESSIONS, K_CLOCKS }) do
    local first = redis.call('ZRANGE', ctx.p .. key, 0, 0, 'WITHSCORES')
    if first[2] then
      wait = math.min(wait, math.max(0, tonumber(first[2]) - ctx.now))
    end
  end
  if ctx.trees and redis.call('EXISTS', ctx.p .. K_WAKES) == 1 then
    wait = 0
  end
  for _, one in ipairs(halts.freezes(ctx)) do
    wait = math.min(wait, math.max(0, one.ends - ctx.now))
  end
  return wait
end
