-- A line that fills up refuses the less urgent first, as a queue does (`policy.shed`), whoever asks: lock requests and jobs.
-- What it refuses stands in a key of its own for a minute after the last that joined, so below the soft limit nobody looks.
--@include lib/emit
--@include lib/overload
--@include lib/defined
--@include lib/shrink
local CROWDED_MS = 60000

-- Why a request does not join a line of so many, or nil. What it will have to note is remembered in `r.crowds`.
local function crowded_out(ctx, r, resource, count, limit)
  local bands = ctx.line_bands and limit ~= ctx.max_line and ctx.bands_for(limit) or ctx.line_bands
  if not bands or count + 1 < bands[1].ends then
    return nil
  end
  local kept = tonumber(redis.call('GET', ctx.p .. K_CROWDED .. resource) or 0) or 0
  local level = level_of(ctx, kept, count, bands)
  if r.priority >= level then
    note_fill(r, 'line', count, bands[1].begins, limit)
    r.crowds = r.crowds or {}
    r.crowds[resource] = { kept = kept, level = level_of(ctx, level, count + 1, bands), count = count + 1, limit = limit }
    return nil
  end
  local line = ctx.p .. K_LINE .. resource
  local middle = redis.call('ZRANGE', line, math.floor(count / 2), math.floor(count / 2))[1]
  local stamp = middle and tonumber(redis.call('HGET', ctx.p .. K_REQ .. middle, 'stamp') or nil) or ctx.us
  local rank = defined.place(ctx, { stamp = math.max(ctx.tick + 1, ctx.us), priority = r.priority }, resource)
  return { 'line_overloaded', resource, count, limit, bands[r.priority + 1].ends,
    math.floor(math.max(0, ctx.us - stamp) / 1000), redis.call('ZCOUNT', line, '-inf', '(' .. rank) }
end

-- It joins them.
local function note_crowds(ctx, r)
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
