-- The breaker, as `coordinator/policy/breaker.py` has it; its terms are failures, successes, open ms, window ms, probes.
-- Each change is an event, with the figures that caused it.
--@include lib/gate
--@include lib/emit
local DAY = 86400000

local function told(ctx, g, event, ...)
  ctx.stats[event] = (ctx.stats[event] or 0) + 1
  emit(ctx, event, g.name, ...)
end

local function trip(ctx, g, open_ms, ...)
  g.state, g['until'], g.since = 'open', text(ctx.now + open_ms), text(ctx.now)
  g.opened = g.since
  g.failed, g.passed, g.probing = nil, nil, nil
  keep_gate(ctx, g, open_ms + DAY)
  set_clock(ctx, g.name, '', ctx.now + open_ms)
  told(ctx, g, 'breaker_open', 'until', g['until'], ...)
end

local function close(ctx, g, ...)
  g.state, g.failed, g.passed, g.probing, g.why = nil, nil, nil, nil, nil
  keep_gate(ctx, g, nil)
  told(ctx, g, 'breaker_close', 'open_ms', text(ctx.now - (tonumber(g.since) or ctx.now)), ...)
  g['until'], g.since = nil, nil
  wake(ctx, g.name)
end

local function look_at_breaker(ctx, g)
  if g.state == 'open' and ctx.now >= tonumber(g['until']) then
    g.state, g['until'] = 'half_open', nil
    keep_gate(ctx, g, DAY)
    told(ctx, g, 'breaker_half_open', 'probes', g.numbers[5] or 1)
  end
end

-- The failures that still count, oldest first.
local function counting(ctx, g)
  local found = {}
  for _, ms in ipairs(words_of(g.failed)) do
    if tonumber(ms) > ctx.now - g.numbers[4] then
      found[#found + 1] = ms
    end
  end
  return found
end

-- The newest probes that are known; of more that never end the oldest are forgotten.
local MAX_KNOWN, USUAL_OPEN = 64, 30000

-- When a probe that began then has lost its place: one that hangs must not keep everybody waiting.
local function loses_place(g, began)
  return tonumber(began) + (g.numbers[3] or USUAL_OPEN)
end

-- The probes that are still running, and how many of them have their place yet; `g.place_ends`: when the next loses it.
-- Who stands there and is no more has crashed, or was taken back.
local function probing(ctx, g)
  local found, young = {}, 0
  g.place_ends = nil
  for _, run in ipairs(words_of(g.probing)) do
    local id, fence, began = string.match(run, '^(.*):(%d+)@(%d+)$')
    local r = id and redis.call('HMGET', ctx.p .. K_REQ .. id, 'state', 'fence') or {}
    if r[1] == 'running' and r[2] == fence then
      found[#found + 1] = run
      local ends = loses_place(g, began)
      if ends > ctx.now then
        young, g.place_ends = young + 1, math.min(g.place_ends or ends, ends)
      end
    end
  end
  return found, young
end

local function breaker_room(ctx, g)
  look_at_breaker(ctx, g)
  if not g.state then
    return math.huge
  end
  if g.state == 'open' then
    return 0
  end
  local _, young = probing(ctx, g)
  return math.max(0, (g.numbers[5] or 1) - young)
end

local function probe_begins(ctx, g, id, fence)
  if g.state == 'half_open' then
    local runs = probing(ctx, g)
    runs[#runs + 1] = id .. ':' .. fence .. '@' .. text(ctx.now)
    ctx.stats.probe = (ctx.stats.probe or 0) + 1
    g.probing = table.concat(runs, ' ', math.max(1, #runs - MAX_KNOWN + 1))
    keep_gate(ctx, g, DAY)
  end
end
