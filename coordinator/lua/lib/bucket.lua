-- Limits of rate, as `coordinator/policy/rate.py` has them. A rate's terms are burst and thousandths of a run a second,
-- an adaptive one's initial, least, most, increase, decrease in thousandths. Both can be closed until a moment, by a
-- handler that was told to come back later; one without terms only ever is that.
--@include lib/gate
local SLACK = 0.000000001
local HOUR = 3600000

local function pace_of(g)
  return tonumber(g.pace) or g.numbers[1] / 1000
end

-- How much the bucket holds, and how much comes a second; nothing for a gate that is only closed on demand.
local function speed(g)
  if #g.numbers == 0 then
    return nil
  elseif g.kind == 'adaptive' then
    return math.max(1, pace_of(g)), pace_of(g)
  end
  return g.numbers[1], g.numbers[2] / 1000
end

local function tokens_of(ctx, g)
  local burst, rate = speed(g)
  if not g.tokens then
    return burst
  end
  return math.min(burst, g.tokens + math.max(0, ctx.us - g.at) * rate / 1000000)
end

local function closed_until(ctx, g)
  local till = tonumber(g['until'])
  return till and till > ctx.now and till or nil
end

local function limit_room(ctx, g)
  if closed_until(ctx, g) then
    return 0
  end
  return speed(g) and math.floor(tokens_of(ctx, g) + SLACK) or math.huge
end

-- The ms at which one more may pass than now.
local function limit_next(ctx, g)
  local till, _, rate = closed_until(ctx, g), speed(g)
  if till or not rate then
    return till or ctx.now
  end
  local tokens = tokens_of(ctx, g)
  return math.ceil((ctx.us + math.ceil((math.floor(tokens + SLACK) + 1 - tokens) / rate * 1000000)) / 1000)
end

-- Until it is full again nothing of it may be forgotten; what an adaptive limit has learnt is kept for an hour.
local function keep_limit(ctx, g)
  local burst, rate = speed(g)
  local full = burst and (burst - tokens_of(ctx, g)) / rate * 1000 or 0
  local till = closed_until(ctx, g)
  keep_gate(ctx, g, math.max(full, (till or ctx.now) - ctx.now, g.kind == 'adaptive' and HOUR or 0) + 60000)
end

local function take_token(ctx, g)
  if speed(g) then
    g.tokens, g.at = tokens_of(ctx, g) - 1, text(ctx.us)
    keep_limit(ctx, g)
  end
end

local function set_pace(ctx, g, pace)
  local tokens = tokens_of(ctx, g)
  g.pace = pace
  g.tokens, g.at = math.min(tokens, (speed(g))), text(ctx.us)
  keep_limit(ctx, g)
end

local function faster(ctx, g)
  local pace = pace_of(g)
  set_pace(ctx, g, math.min(g.numbers[3] / 1000, pace + g.numbers[4] / 1000 / pace))
end

-- Runs that began before the last cut tell of the rate of then.
local function slower(ctx, g, began)
  if began > (tonumber(g.cut) or 0) then
    g.cut = text(ctx.now)
    set_pace(ctx, g, math.max(g.numbers[2] / 1000, pace_of(g) * g.numbers[5] / 1000))
  end
end

local function shut(ctx, g, ms)
  g['until'] = text(math.max(tonumber(g['until']) or 0, ctx.now + ms))
  keep_limit(ctx, g)
  set_clock(ctx, g.name, '', tonumber(g['until']))
end
