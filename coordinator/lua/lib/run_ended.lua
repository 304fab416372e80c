-- What a run that has ended says to the gates of its job. Only a handler's own failure is one: an outcome that ends in
-- `-` says nothing of whom the handler depends on, nor does one that was cancelled, snoozed or handed back. `r.doubted`:
-- it was a probe that failed before any other had succeeded, and for so many ms nobody passes now.
--@include lib/admit
local DAY = 86400000

local function count_failures(ctx, g, found)
  g.failed = #found > 0 and table.concat(found, ' ') or nil
  keep_gate(ctx, g, #found > 0 and g.numbers[4] + 60000)
  if #found > 0 then
    set_clock(ctx, g.name, '', tonumber(found[#found]) + g.numbers[4])
  end
end

-- Takes a run off the probes. Returns whether it was one.
local function probe_ends(ctx, g, id, fence)
  local left, was = {}, false
  for _, run in ipairs(words_of(g.probing)) do
    if string.match(run, '^(.*)@') == id .. ':' .. fence then
      was = true
    else
      left[#left + 1] = run
    end
  end
  if was then
    g.probing = #left > 0 and table.concat(left, ' ') or nil
    keep_gate(ctx, g, DAY)
    wake(ctx, g.name)
  end
  return was
end

local function breaker_told(ctx, g, r, good, bad)
  look_at_breaker(ctx, g)
  local probed = g.state == 'half_open' and probe_ends(ctx, g, r.id, r.fence)
  if probed and bad then
    if not g.passed then
      r.doubted = math.max(r.doubted or 0, g.numbers[3])
    end
    trip(ctx, g, g.numbers[3], 'by', 'probe', 'passed', g.passed or 0, 'job', r.id)
  elseif probed and good then
    g.passed = (tonumber(g.passed) or 0) + 1
    if g.passed >= g.numbers[2] then
      close(ctx, g, 'by', 'probes', 'passed', g.passed)
    end
  elseif (tonumber(r.since) or ctx.now) < (tonumber(g.opened) or 0) then
    return -- it began before the breaker opened last
  elseif not g.state and bad then
    local found = counting(ctx, g)
    found[#found + 1] = text(ctx.now)
    if #found >= g.numbers[1] then
      trip(ctx, g, g.numbers[3], 'by', 'failures', 'failures', #found, 'window_ms', g.numbers[4], 'job', r.id)
    else
      count_failures(ctx, g, found)
    end
  elseif not g.state and good and g.failed then
    local found = counting(ctx, g)
    table.remove(found, 1)
    count_failures(ctx, g, found)
  end
end

local function limit_told(ctx, g, r, good, bad, shut_ms)
  if g.kind == 'adaptive' and good then
    adapt(ctx, g, good)
  elseif g.kind == 'adaptive' and (bad or shut_ms) then
    adapt(ctx, g, good, tonumber(r.since) or 0)
  end
  if shut_ms then
    shut(ctx, g, shut_ms)
    told(ctx, g, 'rate_limited', 'until', g['until'], 'job', r.id)
  end
end

-- Whether a success is nothing new to the gates of a handler: no limit goes by it, and no breaker is open or counts. Until
-- a gate changes that is asked once in a script.
local function all_well(ctx, handler)
  local well = memory(ctx).well[handler]
  if well == nil then
    well = true
    for _, one in ipairs(declared(ctx, handler)) do
      local g = one.kind == 'breaker' and gate(ctx, one.name, one.terms)
      well = well and one.kind ~= 'adaptive' and not (g and (g.state or g.failed))
    end
    ctx.memory.well[handler] = well
  end
  return well
end

-- Returns the outcome as the job has it: one that was `limited` goes back to its place, and waits there for its gate.
local function run_ended(ctx, r, said, delay_ms)
  if said == 'succeeded' and (not ctx.gates or all_well(ctx, r.name)) then
    return said
  end
  local outcome, blameless = string.match(said, '^(%a*)(%-?)')
  local good, limited = outcome == 'succeeded', outcome == 'limited'
  local bad = blameless == '' and (outcome == 'failed' or outcome == 'retry')
  local closed = false
  if ctx.gates or bad or limited then
    for i, one in ipairs(declared(ctx, r.name)) do
      if one.kind == 'breaker' then
        breaker_told(ctx, gate(ctx, one.name, one.terms), r, good, bad)
      elseif one.kind == 'adaptive' or limited then
        closed = closed or limited
        limit_told(ctx, gates_of(ctx, r)[i], r, good, bad, limited and delay_ms)
      end
    end
  end
  return limited and (closed and 'released' or 'snooze') or outcome
end
