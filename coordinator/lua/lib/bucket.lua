-- Limits of rate, as `coordinator/policy/rate.py` has them. A rate's terms are burst and thousandths of a run a second,
-- an adaptive one's initial, least, most, increase, decrease in thousandths. Both can be closed until a moment, by a
-- handler that was told to come back later; one without terms only ever is that.
--@include lib/gate
local RUN = 1000000000
local HOUR = 3600000

local function pace_of(g)
  return tonumber(g.pace) or g.numbers[1] / 1000
end

-- How much the bucket holds, and how much comes in with every us; nothing for a gate that is only closed on demand.
-- Both are whole numbers of billionths of a run, and so is what is in it: nothing is ever rounded.
local function speed(g)
  if #g.numbers == 0 then
    return nil
  elseif g.kind == 'adaptive' then
    local rate = math.floor(pace_of(g) * 1000 + 0.5)
    return math.max(1000, rate) * (RUN / 1000), rate
  end
  return g.numbers[1] * RUN, g.numbers[2]
end

local function tokens_of(ctx, g)
  local full, rate = speed(g)
  if not g.tokens then
    return full
  end
  if g.at == ctx.us then
    return math.min(full, g.tokens)
  end
  return math.min(full, g.tokens + math.max(0, ctx.us - g.at) * rate)
end

local function closed_until(ctx, g)
  local till = tonumber(g['until'])
  return till and till > ctx.now and till or nil
end

local function limit_room(ctx, g)
  if closed_until(ctx, g) then
    return 0
  end
  return speed(g) and math.floor(tokens_of(ctx, g) / RUN) or math.huge
end

-- The ms at which one more may pass than now.
local function limit_next(ctx, g)
  local till, _, rate = closed_until(ctx, g), speed(g)
  if till or not rate then
    return till or ctx.now
  end
  return math.ceil((ctx.us + math.ceil((RUN - tokens_of(ctx, g) % RUN) / rate)) / 1000)
end

-- Until it is full again nothing of it may be forgotten; what an adaptive limit has learnt is kept for an hour.
local function keep_limit(ctx, g)
  local full, rate = speed(g)
  local filling = full and (full - tokens_of(ctx, g)) / rate / 1000 or 0
  local till = closed_until(ctx, g)
  keep_gate(ctx, g, math.max(filling, (till or ctx.now) - ctx.now, g.kind == 'adaptive' and HOUR or 0) + 60000)
end

-- For how long it is kept follows from what is left when the script ends. A job that is handed on without having run
-- gives its token back: `runs` is -1.
local function take_token(ctx, g, runs)
  if speed(g) then
    g.tokens, g.at, g.spent = tokens_of(ctx, g) - runs * RUN, ctx.us, keep_limit
    ctx.memory.changed[g.name] = g
  end
end

local function set_pace(ctx, g, pace)
  local tokens = tokens_of(ctx, g)
  local told = string.format('%.17g', pace)
  if told ~= g.pace then
    g.pace, ctx.stats.pace = told, (ctx.stats.pace or 0) + 1
  end
  g.tokens, g.at = text(math.min(tokens, (speed(g)))), text(ctx.us)
  keep_limit(ctx, g)
end

-- An adaptive limit after a run. Runs that began before the last cut tell of the rate of then.
local function adapt(ctx, g, good, began)
  local pace = pace_of(g)
  if good then
    set_pace(ctx, g, math.min(g.numbers[3] / 1000, pace + g.numbers[4] / 1000 / pace))
  elseif began > (tonumber(g.cut) or 0) then
    g.cut = text(ctx.now)
    set_pace(ctx, g, math.max(g.numbers[2] / 1000, pace * (g.numbers[5] / 1000)))
  end
end

local function shut(ctx, g, ms)
  g['until'] = text(math.max(tonumber(g['until']) or 0, ctx.now + ms))
  keep_limit(ctx, g)
  set_clock(ctx, g.name, '', tonumber(g['until']))
end
