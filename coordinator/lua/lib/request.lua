-- Reads a request. `load` gives its small fields by name (absent ones are false); `needs_of` its needs as a list.
--@include lib/context
local function load(ctx, id)
  local v = redis.call('HMGET', ctx.p .. K_REQ .. id, 'state', 'kind', 'priority', 'stamp', 'session', 'fence',
    'queue', 'needs', 'dedup', 'scope', 'wait_by', 'end_by', 'hold_ms', 'crashes', 'settled', 'on_conflict', 'expires',
    'cancel')
  if not v[1] then
    return nil
  end
  return { id = id, state = v[1], kind = v[2], priority = tonumber(v[3]), stamp = tonumber(v[4]), session = v[5],
    fence = v[6], queue = v[7], needs = v[8], dedup = v[9], scope = v[10], wait_by = tonumber(v[11] or nil),
    end_by = tonumber(v[12] or nil), hold_ms = tonumber(v[13] or nil), crashes = tonumber(v[14] or 0),
    settled = v[15], on_conflict = v[16], expires = tonumber(v[17] or 0),
    cancel = v[18] }
end

-- Needs are kept as text, `x1:infra/prod/vpc s1:config`: mode, permits, encoded resource.
local function parse_needs(needs)
  local list = {}
  for mode, permits, resource in string.gmatch(needs, '([xs])(%d+):(%S+)') do
    list[#list + 1] = { mode = mode, permits = tonumber(permits), resource = resource }
  end
  return list
end

local function needs_of(ctx, r)
  if not r.needs_list then
    r.needs_list = r.needs and parse_needs(redis.call('GET', ctx.p .. K_NEEDS .. r.id) or '') or {}
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

-- Why a request is out of time, if it is: its whole life has a deadline, and its wait may have one of its own.
local function out_of_time(ctx, r)
  if r.end_by and r.end_by <= ctx.now then
    return 'deadline'
  end
  return r.wait_by and r.wait_by <= ctx.now and 'wait ran out' or nil
end

-- Smaller is nearer the head: time of arrival, plus one aging period for each level below the most urgent. A request
-- is therefore overtaken only by more urgent ones that come within (difference in levels) x aging_after of it, and
-- nothing ever has to be re-scored as it ages.
local function rank_of(ctx, r)
  return text(r.stamp + (4 - r.priority) * ctx.aging_us)
end
