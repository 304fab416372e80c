-- The retry budget of a handler: see policy/budget, which has the formula and why it holds. Thousandths of a token, ms.
--@include lib/context
local HANDLER_MS = 86400000
local TOKEN = 1000

-- Everything paid in up to now.
local function look_at_account(ctx, budget, key)
  local v = redis.call('HMGET', key, 'ok', 'tokens', 'earned', 'at')
  local reserve = math.floor(budget.floor * budget.window / TOKEN)
  local at = tonumber(v[4] or ctx.now)
  local passed = math.max(0, ctx.now - at)
  local paid = budget.share * tonumber(v[1] or 0)
  local left = math.exp(-passed / budget.window)
  local spread = passed > 0 and budget.window / passed * (1 - left) or 1
  local earned = math.floor(tonumber(v[3] or 0) * left + paid * spread)
  local tokens = tonumber(v[2] or reserve) + math.floor(budget.floor * passed / TOKEN) + paid
  return math.min(tokens, reserve + earned), earned, math.max(ctx.now, at)
end

-- The next success after this is the first one: `lib/health` looks closer at it.
local function save_account(key, tokens, earned, at)
  redis.call('HSET', key, 'ok', '0', 'tokens', text(tokens), 'earned', text(earned), 'at', text(at))
  redis.call('PEXPIRE', key, HANDLER_MS)
end

-- Takes a token for a retry. Returns how many ms it must wait for its turn, and behind how many.
local function spend_token(ctx, name)
  local budget = ctx.budget
  if not budget then
    return 0, 0
  end
  local key = ctx.p .. K_HANDLER .. name
  local tokens, earned, at = look_at_account(ctx, budget, key)
  tokens = tokens - TOKEN
  save_account(key, tokens, earned, at)
  local short = math.max(0, -tokens)
  return math.ceil(short * TOKEN / budget.floor), math.ceil(short / TOKEN)
end
