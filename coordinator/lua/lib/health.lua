-- What the fleet learns of a handler from how its runs end: the level that timeouts in a row have led to, see
-- policy/escalation, and how retries fared after each delay, see policy/backoff.
--@include lib/budget
--@include lib/emit
local HALF_LIFE, LAST_OCTAVE = 600000, 39

local function tell_level(ctx, name, from, to, ...)
  ctx.stats.escalate = (ctx.stats.escalate or 0) + 1
  if tonumber(to) > tonumber(from) then
    ctx.stats.lengthened = (ctx.stats.lengthened or 0) + 1
  end
  emit(ctx, 'escalate', name, 'from', from, 'to', to, ...)
end

local function end_escalation(ctx, name, key)
  local v = redis.call('HMGET', key, 'level', 'late')
  if v[1] or v[2] then
    redis.call('HDEL', key, 'level', 'late')
    if tonumber(v[1] or 0) > 0 then
      tell_level(ctx, name, v[1], '0', 'by', 'success')
    end
  end
end

local function note_success(ctx, name)
  ctx.succeeded = ctx.succeeded or {}
  ctx.succeeded[name] = (ctx.succeeded[name] or 0) + 1
end

-- Successes are counted with one command for a handler and call. The first one after anything else is looked at closer.
local function note_successes(ctx)
  for name, count in pairs(ctx.succeeded or {}) do
    local key = ctx.p .. K_HANDLER .. name
    if redis.call('HINCRBY', key, 'ok', count) == count then
      redis.call('PEXPIRE', key, HANDLER_MS)
      end_escalation(ctx, name, key)
    end
  end
  ctx.succeeded = nil
end

-- `begun`: the level under which the run began that is out of time.
local function note_timeout(ctx, name, begun)
  note_successes(ctx)
  local key = ctx.p .. K_HANDLER .. name
  local v = redis.call('HMGET', key, 'level', 'late')
  local known = tonumber(v[1] or 0)
  -- The highest there may be can be lowered while a handler is above it.
  local level = math.min(known, ctx.escalate_most)
  local late = level < known and 1 or tonumber(v[2] or 0) + 1
  if begun < level then
    return
  end
  if level < known then
    tell_level(ctx, name, text(known), text(level), 'by', 'settings')
  end
  if late >= ctx.escalate_after and level < ctx.escalate_most then
    tell_level(ctx, name, text(level), text(level + 1), 'by', 'timeouts', 'timeouts', late)
    level, late = level + 1, 0
  end
  if ctx.budget then
    save_account(key, look_at_account(ctx, ctx.budget, key))
  end
  redis.call('HSET', key, 'ok', '0', 'level', text(level), 'late', text(math.min(late, ctx.escalate_after)))
  redis.call('PEXPIRE', key, HANDLER_MS)
end

-- Tries and successes in thousandths, and when they were last counted; they fade with time.
local function note_retry(ctx, r, good)
  local waited = tonumber(r.waited)
  if waited == 0 then
    return
  end
  local _, exponent = math.frexp(waited)
  local key, field = ctx.p .. K_HANDLER .. r.name, 'after:' .. math.min(exponent - 1, LAST_OCTAVE)
  local tries, successes, at = string.match(redis.call('HGET', key, field) or '0 0 0', '^(%d+) (%d+) (%d+)$')
  local left = 0.5 ^ (math.max(0, ctx.now - at) / HALF_LIFE)
  redis.call('HSET', key, field, string.format('%d %d %d', math.floor(tries * left) + 1000,
    math.floor(successes * left) + (good and 1000 or 0), ctx.now))
  redis.call('PEXPIRE', key, HANDLER_MS)
end
