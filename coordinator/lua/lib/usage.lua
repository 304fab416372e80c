-- What a resource is in use for, and whether a need still fits. Reading only: holders whose session or lease has
-- lapsed count as gone here, and are taken back by `evict` before anything is written.
--@include lib/send
-- Above this many holders a resource can only be shared or counted, and looking each one up would be slow: lapsed
-- ones are then left to the sweep.
local MANY_HOLDERS = 64

local function capacity(ctx, resource)
  return tonumber(redis.call('HGET', ctx.p .. K_DEF .. resource, 'capacity') or 1)
end

-- A holder is stored as `x 1 <fence> <session> <expires ms>` under its request id.
local function parse_holder(value)
  local mode, permits, fence, session, expires = string.match(value, '^([xs]) (%d+) (%d+) (%S+) (%d+)$')
  return { mode = mode, permits = tonumber(permits), fence = fence, session = session, expires = tonumber(expires) }
end

local function lapsed(ctx, holder)
  return holder.expires <= ctx.now or not live(ctx, holder.session)
end

local function add(used, need)
  used.mode = need.mode
  used.permits = used.permits + need.permits
end

-- One that shares a resource can only have others beside it that do: where there are many, one tells of all.
local function shared_by_many(key, count)
  if count > MANY_HOLDERS then
    local one = redis.call('HRANDFIELD', key, 1, 'WITHVALUES')
    return parse_holder(one[2]).mode == 's'
  end
end

-- The same of many holders of permits, of whom none is asked whether it lives: a third of the time.
local function add_all(used, values)
  local find, mode, permits = string.match, used.mode, 0
  for _, value in ipairs(values) do
    local here, count = find(value, '^([xs]) (%d+)')
    mode, permits = here, permits + tonumber(count)
  end
  used.mode, used.permits = mode, permits
end

-- What live holders use. `stale`: a lapsed one still stands there.
local function usage(ctx, resource)
  local used = { permits = 0 }
  local key = ctx.p .. K_HOLDERS .. resource
  local count = redis.call('HLEN', key)
  if count == 0 then
    return used
  elseif shared_by_many(key, count) then
    used.mode, used.permits = 's', count
    return used
  end
  local values = redis.call('HVALS', key)
  if count > MANY_HOLDERS then
    add_all(used, values)
    return used
  end
  for _, value in ipairs(values) do
    local holder = parse_holder(value)
    if not lapsed(ctx, holder) then
      add(used, holder)
    else
      used.stale = true
    end
  end
  return used
end

-- A need of more permits than there are is refused when it arrives; one that waits when the capacity is lowered below
-- it takes all there is, or its line would stand still for ever. The capacity is looked up only where it matters.
local function fits(ctx, resource, used, need)
  if need.mode == 's' then
    return used.mode ~= 'x'
  elseif used.mode == 's' then
    return false
  elseif used.permits == 0 then
    return true
  end
  used.limit = used.limit or capacity(ctx, resource)
  return used.permits + math.min(need.permits, used.limit) <= used.limit
end
