-- Reads a request: all its fields by name, numbers as numbers. In one pass over the hash, which is a short list in
-- memory: asking for eighteen fields by name would walk it eighteen times. A record without `kind` is a job's, one
-- without `priority` has the normal one: so the commonest record stays small. `v` is what stands in it, if the caller knows.
--@include lib/context
local function load(ctx, id, v)
  v = v or redis.call('HGETALL', ctx.p .. K_REQ .. id)
  if not v[1] then
    return nil
  end
  -- The fields of a plain job are there from the start, so that the table does not grow; a nil that is assigned would
  -- make it grow too.
  local r = { id = id, kind = 'job', priority = 1, crashes = 0, expires = 0, state = false, stamp = false, name = false,
    queue = false, data = false, data2 = false, session = false, fence = false, since = false, deliveries = false,
    attempts = false }
  for i = 1, #v, 2 do
    r[v[i]] = v[i + 1]
  end
  if not r.state then
    return nil
  end
  -- Each by its name, and only what is there: a loop over the names would take as long as all the rest of this.
  r.stamp = r.stamp and tonumber(r.stamp) or nil
  if r.priority ~= 1 then r.priority = tonumber(r.priority) end
  if r.crashes ~= 0 then r.crashes = tonumber(r.crashes) end
  if r.expires ~= 0 then r.expires = tonumber(r.expires) end
  if r.wait_by then r.wait_by = tonumber(r.wait_by) end
  if r.end_by then r.end_by = tonumber(r.end_by) end
  if r.hold_ms then r.hold_ms = tonumber(r.hold_ms) end
  if r.run_ms then r.run_ms = tonumber(r.run_ms) end
  if r.ttl_ms then r.ttl_ms = tonumber(r.ttl_ms) end
  return r
end

-- Needs are kept as text, `x1:infra/prod/vpc s1:config`: mode, permits, encoded resource. Short ones stand in the record;
-- of longer ones it has the count, and they a key of their own, because a field above 64 bytes would blow up the hash.
local SHORT = 64

local function parse_needs(needs)
  -- Most need one resource, and to begin a search for several costs as much as to find it.
  local mode, permits, resource = string.match(needs, '^([xs])(%d+):(%S+)$')
  if mode then
    return { { mode = mode, permits = tonumber(permits), resource = resource } }
  end
  local list = {}
  for mode, permits, resource in string.gmatch(needs, '([xs])(%d+):(%S+)') do
    list[#list + 1] = { mode = mode, permits = tonumber(permits), resource = resource }
  end
  return list
end

local function needs_text(ctx, r)
  if not r.needs or string.find(r.needs, ':', 1, true) then
    return r.needs or ''
  end
  return redis.call('GET', ctx.p .. K_NEEDS .. r.id) or ''
end

local function needs_of(ctx, r)
  if not r.needs_list then
    r.needs_list = r.needs and parse_needs(needs_text(ctx, r)) or {}
  end
  return r.needs_list
end

local function need_on(ctx, r, resource)
  for _, need in ipairs(needs_of(ctx, r)) do
    if need.resource == resource then
      return need
    end
  end
end

-- Why a request is out of time, if it is: its whole life has a deadline, and its wait may have one of its own, which
-- rests while a worker has it.
local function out_of_time(ctx, r)
  if r.end_by and r.end_by <= ctx.now then
    return 'deadline'
  end
  return r.wait_by and r.wait_by <= ctx.now and r.state ~= 'running' and 'wait ran out' or nil
end

-- It has begun: however it goes on, its wait has no end any more.
local function end_wait(ctx, r)
  if r.wait_by then
    redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'wait_by')
    r.wait_by = nil
  end
end

-- Smaller is nearer the head: time of arrival, plus one aging period for each level below the most urgent. A request
-- is therefore overtaken only by more urgent ones that come within (difference in levels) x aging_after of it, and
-- nothing ever has to be re-scored as it ages. A place that was given by hand (lib/reorder) goes before that.
local function rank_number(ctx, r)
  return tonumber(r.rank or nil) or r.stamp + (4 - r.priority) * ctx.aging_us
end

-- The same as it is written.
local function rank_of(ctx, r)
  return r.rank or text(rank_number(ctx, r))
end
