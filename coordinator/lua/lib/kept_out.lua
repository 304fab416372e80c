-- Why a job is not let in just now. A handler whose breaker is to refuse (`on_open="refuse"`, the sixth of its terms) has no
-- jobs wait behind it: while it is open they are told for how long that still is. Who comes later than that by its own
-- delay gets in.
--@include lib/gate
--@include lib/memory
--@include lib/shed
local REFUSES = '^:%d+:%d+:%d+:%d+:%d+:1:'

-- The breakers of a handler that refuse, looked for once in a script.
local function refusing(ctx, handler)
  local known = declared(ctx, handler)
  if not known.refusing then
    known.refusing = {}
    for _, one in ipairs(known) do
      if one.kind == 'breaker' and string.find(one.terms .. ':', REFUSES) then
        table.insert(known.refusing, one)
      end
    end
  end
  return known.refusing
end

local function refused_by_breaker(ctx, job)
  for _, one in ipairs(refusing(ctx, job.name)) do
    local g = gate(ctx, one.name)
    local left = g.state == 'open' and (tonumber(g['until']) or 0) - ctx.now or 0
    if left > tonumber(job.delay_ms or 0) then
      return { 'breaker_open', one.name, left }
    end
  end
end

-- The answer, or nil. What else keeps others of its handler and priority out in the same script is the room in its queue.
local function kept_out(ctx, job)
  return (ctx.gates and refused_by_breaker(ctx, job)) or memory_full(ctx, job.priority) or no_room(ctx, job)
end
