-- Why a job is not let in just now. A handler whose breaker is to refuse (`on_open="refuse"`, the sixth of its terms) has no
-- jobs wait behind it: while it is open they are told for how long that still is. Who comes later than that by its own
-- delay gets in.
--@include lib/gate
--@include lib/memory
--@include lib/shed
local REFUSES = 6

local function refused_by_breaker(ctx, job)
  for _, one in ipairs(ctx.gates and declared(ctx, job.name) or {}) do
    local g = one.kind == 'breaker' and terms_of(one.terms)[REFUSES] == 1 and gate(ctx, one.name)
    local left = g and g.state == 'open' and (tonumber(g['until']) or 0) - ctx.now or 0
    if left > tonumber(job.delay_ms or 0) then
      return { 'breaker_open', one.name, left }
    end
  end
end

-- The answer, or nil.
local function kept_out(ctx, job)
  return refused_by_breaker(ctx, job) or memory_full(ctx, job.priority) or no_room(ctx, job)
end
