-- What lock requests and jobs have in common when they ask: the limits of the lines, and their longer fields, which
-- live in keys of their own so that the request's hash stays compact.
--@include lib/context
--@include lib/usage
local function refused_needs(ctx, r, joins)
  for _, need in ipairs(r.needs_list) do
    local limit = need.mode == 'x' and need.permits > 1 and capacity(ctx, need.resource)
    if limit and need.permits > limit then
      return { 'over_capacity', need.resource, limit }
    end
    if joins and redis.call('ZCARD', ctx.p .. K_LINE .. need.resource) >= ctx.max_line then
      return { 'line_full', need.resource, ctx.max_line }
    end
  end
end

local function record(ctx, r, needs, owner, reason, metadata)
  if needs ~= '' then
    redis.call('SET', ctx.p .. K_NEEDS .. r.id, needs)
  end
  local note = {}
  for name, value in pairs({ owner = owner, reason = reason, metadata = metadata }) do
    if value and value ~= '' then
      note[#note + 1], note[#note + 2] = name, value
    end
  end
  if #note > 0 then
    redis.call('HSET', ctx.p .. K_NOTE .. r.id, unpack(note))
  end
  return #note > 0
end

-- Field and value pairs of those that are there; numbers as text without an exponent.
local function optional(fields)
  local pairs_list = {}
  for name, value in pairs(fields) do
    if value and value ~= '' then
      pairs_list[#pairs_list + 1] = name
      pairs_list[#pairs_list + 1] = type(value) == 'number' and text(value) or value
    end
  end
  return pairs_list
end
