-- Judges the standing of a request in its lines. An offer must be one that a worker could take up now, and a request
-- must have the same rank in all lines by priority, or two could wait for each other.
--@include lib/front
-- Of so many holders all are read; of more as many, each time others.
local MOST_READ = 1024

-- Whether the resource can be judged: the entries of its holders can be read, and no look at its line is pending, as there
-- is below a subtree that came free while many waited.
local function settled(ctx, resource)
  if redis.call('SISMEMBER', ctx.p .. K_DIRTY, resource) == 1 or (ctx.trees and redis.call('EXISTS', ctx.p .. K_WAKES) == 1) then
    return false
  end
  local holders = ctx.p .. K_HOLDERS .. resource
  local many = redis.call('HLEN', holders) > MOST_READ
  local found = many and redis.call('HRANDFIELD', holders, MOST_READ, 'WITHVALUES') or redis.call('HVALS', holders)
  for i = many and 2 or 1, #found, many and 2 or 1 do
    -- As `parse_holder` reads it.
    if not string.find(found[i], '^[xs] %d+ %d+ %S+ %d+$') then
      return false
    end
  end
  return true
end

local function all_settled(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    if not settled(ctx, need.resource) then
      return false
    end
  end
  return true
end

-- Further back than `promote` looks, an offer is only looked at again when it is claimed.
local function in_sight(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    if (redis.call('ZRANK', ctx.p .. K_LINE .. need.resource, r.id) or WINDOW) >= WINDOW then
      return false
    end
  end
  return true
end

-- What was offered before a freeze, or before a subtree above or below was wanted, may be offered still: it steps back
-- when it is claimed.
local function is_barred(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    if beside.kept_from(ctx, r, need) then
      return true
    end
  end
  return false
end

local function audit_rank(ctx, r)
  local rank
  for _, need in ipairs(needs_of(ctx, r)) do
    local here, known = redis.call('ZSCORE', ctx.p .. K_LINE .. need.resource, r.id), defined.of(ctx, need.resource)
    if known.mode then
      if here and not known.turn and tonumber(here) ~= defined.score(ctx, r, need.resource) then
        return 'its place in line is not that of the mode'
      end
    elseif rank and here and here ~= rank and not known.turn then
      return 'its rank is not the same in all its lines'
    else
      rank = rank or here
    end
  end
end

local function audit_standing(ctx, r, faults)
  local fault = audit_rank(ctx, r)
  if fault then
    faults[#faults + 1] = fault
    return
  end
  if r.state == 'waiting' and not r.needs and not r.gate then
    faults[#faults + 1] = 'waits although it needs nothing'
  elseif r.state == 'ready' and r.needs and in_sight(ctx, r) and all_settled(ctx, r) and not beside.lapsed(ctx, r)
    and not is_barred(ctx, r) and not front_everywhere(ctx, r) then
    faults[#faults + 1] = 'is offered although it is not its turn'
  end
end
