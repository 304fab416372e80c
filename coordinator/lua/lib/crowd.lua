-- A line that fills up refuses the less urgent first, as a queue does (`policy.shed`), whoever asks: lock requests and jobs.
-- What it refuses stands in a key of its own for a minute after the last that joined, so below the soft limit nobody looks.
-- In a full line a more urgent one takes the place of the last of those that are less so; nobody pushes out more than one.
--@include lib/emit
--@include lib/finish
--@include lib/overload
--@include lib/defined
--@include lib/shrink
local CROWDED_MS = 60000
-- Waiters that a call looks at, in all, for those that can be pushed out, and in one command; and what one call pushes out: a
-- waiter counts as one, and one more for each line that it leaves.
local MOST_LOOKS, LOOKED_AT, MOST_PUSHED = 256, 16, 64

local function bands_of_line(ctx, limit)
  return ctx.line_bands and limit ~= ctx.max_line and ctx.bands_for(limit) or ctx.line_bands
end

-- What a refused or displaced one is told: how many wait there, the limit, below how many such are let in again, for how
-- many ms the one in the middle has waited, and how many stand before it.
local function figures_of_line(ctx, r, resource, count, limit)
  local line, band = ctx.p .. K_LINE .. resource, bands_of_line(ctx, limit)[r.priority + 1]
  local middle = redis.call('ZRANGE', line, math.floor(count / 2), math.floor(count / 2))[1]
  local stamp = middle and tonumber(redis.call('HGET', ctx.p .. K_REQ .. middle, 'stamp') or nil) or ctx.us
  return { count, limit, band and band.ends or limit, math.floor(math.max(0, ctx.us - stamp) / 1000),
    redis.call('ZCOUNT', line, '-inf', '(' .. defined.place(ctx, r, resource)) }
end

-- The last of a line that is less urgent, or nil.
local function last_less_urgent(ctx, r, resource)
  local at = 0
  while ctx.line_looks < MOST_LOOKS do
    local page = redis.call('ZREVRANGE', ctx.p .. K_LINE .. resource, at, at + LOOKED_AT - 1)
    for _, id in ipairs(page) do
      ctx.line_looks = ctx.line_looks + 1
      local other = tonumber(redis.call('HGET', ctx.p .. K_REQ .. id, 'priority') or 1) < r.priority and load(ctx, id)
      if other and next_state(other.state, 'shed') then
        return other
      end
    end
    at = at + LOOKED_AT
    if #page < LOOKED_AT then
      return nil
    end
  end
end

-- Whether somebody can be pushed out of a full line for the request; who that is, is remembered in `r.pushes`.
local function can_push(ctx, r, resource, count, limit)
  local other = ctx.line_bands and last_less_urgent(ctx, r, resource)
  local cost = other and (r.push_cost or 0) + 1 + #needs_of(ctx, other)
  if not other or ctx.displaced + cost > MOST_PUSHED then
    return false
  end
  r.pushes, r.push_cost = r.pushes or {}, cost
  r.pushes[resource] = { id = other.id, count = count, limit = limit }
  return true
end

-- Why a request does not join a line of so many, or nil. What it will have to note is remembered in `r.crowds`.
local function crowded_out(ctx, r, resource, count, limit)
  local bands, level, kept = bands_of_line(ctx, limit), 0, 0
  local near = bands and count + 1 >= bands[1].ends
  if near then
    kept = tonumber(redis.call('GET', ctx.p .. K_CROWDED .. resource) or 0) or 0
    level = level_of(ctx, kept, count, bands)
  end
  if r.priority < level then
    local came = { stamp = math.max(ctx.tick + 1, ctx.us), priority = r.priority }
    return { 'line_overloaded', resource, unpack(figures_of_line(ctx, came, resource, count, limit)) }
  elseif count >= limit and not can_push(ctx, r, resource, count, limit) then
    return { 'line_full', resource, limit }
  elseif near then
    note_fill(r, 'line', count, bands[1].begins, limit)
    r.crowds = r.crowds or {}
    r.crowds[resource] = { kept = kept, level = level_of(ctx, level, count + 1, bands), count = count + 1, limit = limit }
  end
end

-- Its queue, if it is a job, has one less.
local function push_out(ctx, r, resource, push)
  local other = load(ctx, push.id)
  if not other or not next_state(other.state, 'shed') then
    return  -- it had to go for another reason in this very call
  end
  local said = table.concat(figures_of_line(ctx, other, resource, push.count, push.limit), ' ')
  local lane = other.queue and ctx.queued and K_READY .. other.queue
  if lane and ctx.queued[lane] then
    ctx.queued[lane], ctx.passed = ctx.queued[lane] - 1, ctx.passed and {}
  end
  ctx.displaced = ctx.displaced + 1 + #needs_of(ctx, other)
  finish(ctx, other, 'shed', 'why', 'displaced by a more urgent request', 'by', r.id, 'shed', said, 'shed_from', resource)
  send(ctx, other.kind == 'lock' and other.session, 'ended ' .. other.id .. ' shed ' .. said .. ' ' .. resource)
end

-- It joins them, if need be in somebody's place.
local function note_crowds(ctx, r)
  for resource, push in pairs(r.pushes or {}) do
    push_out(ctx, r, resource, push)
  end
  for resource, crowd in pairs(r.crowds or {}) do
    local key = ctx.p .. K_CROWDED .. resource
    if crowd.level > 0 then
      redis.call('SET', key, crowd.level, 'PX', CROWDED_MS)
    elseif crowd.kept > 0 then
      redis.call('DEL', key)
    end
    if crowd.level ~= crowd.kept then
      emit(ctx, 'overload', resource, 'kind', 'line', 'level', crowd.level, 'count', crowd.count, 'limit', crowd.limit)
    end
  end
end
