-- What lock requests and jobs have in common when they ask: the limits of the lines, and their longer fields, which
-- live in keys of their own so that the request's hash stays compact.
--@include lib/context
--@include lib/crowd
--@include lib/usage
--@include lib/defined
--@include lib/move
--@include lib/by_owner
local function refused_needs(ctx, r, joins)
  for _, need in ipairs(r.needs_list) do
    local limit = need.mode == 'x' and need.permits > 1 and capacity(ctx, need.resource)
    if limit and need.permits > limit then
      return { 'over_capacity', need.resource, limit }
    end
    local count = joins and redis.call('ZCARD', ctx.p .. K_LINE .. need.resource) or 0
    local most = joins and tonumber(defined.of(ctx, need.resource).max_line) or ctx.max_line
    local answer = joins and crowded_out(ctx, r, need.resource, count, most)
    if answer then
      return answer
    end
  end
end

-- Counts and streams that a request has arrived. The caller writes its record.
local function arrive(ctx, r, event, ...)
  step(ctx, r, event)
  if r.needs or event ~= 'ask' then
    emit(ctx, event, r, 'kind', r.kind, 'priority', text(r.priority), 'stamp', text(r.stamp), ...)
  end
end

local function put(fields, name, value, ...)
  if value and value ~= '' then
    fields[#fields + 1] = name
    fields[#fields + 1] = type(value) == 'number' and text(value) or value
  end
  if (...) then
    put(fields, ...)
  end
end

local function put_note(ctx, r, fields, owner, reason, metadata)
  local note = {}
  put(note, 'owner', owner)
  put(note, 'reason', reason)
  put(note, 'metadata', metadata)
  if #note > 0 then
    redis.call('HSET', ctx.p .. K_NOTE .. r.id, unpack(note))
    local owned = note[1] == 'owner'
    r.note = owned and 'owner' or '1'
    put(fields, 'note', r.note)
    if owned then
      redis.call('ZADD', ctx.p .. owner_place(ctx, r, owner), 0, r.id)
    end
  end
end

local function put_needs(ctx, r, fields, needs)
  if #needs > SHORT then
    redis.call('SET', ctx.p .. K_NEEDS .. r.id, needs)
    needs = tostring(#r.needs_list)
  end
  r.needs = needs ~= '' and needs
  put(fields, 'needs', needs)
end

-- The first fields of a record, as a list for `HSET`; what is too long for it goes into keys of its own.
local function record(ctx, r, needs, owner, reason, metadata)
  local fields = { 'stamp', text(r.stamp) }
  put(fields, 'priority', r.priority ~= 1 and r.priority)
  put(fields, 'wait_by', r.wait_by)
  put(fields, 'shrunk', r.shrunk)
  put(fields, 'end_by', r.end_by)
  put_needs(ctx, r, fields, needs)
  put_note(ctx, r, fields, owner, reason, metadata)
  return fields
end
