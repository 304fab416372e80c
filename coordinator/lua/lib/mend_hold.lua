-- Writes what a request holds again, from its record. Its fence is the newest it was given, so its record is the truth.
--@include lib/hand_out
--@include lib/lapse
--@include lib/usage
-- The longest hold of a job whose own is lost, in ms: a day.
local LONGEST_HOLD = 86400000

-- Whether what the request holds is still there for it, or free.
local function room(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    local held, used = redis.call('HGETALL', ctx.p .. K_HOLDERS .. need.resource), { permits = 0 }
    local own = false
    for i = 1, #held, 2 do
      local holder = parse_holder(held[i + 1])
      own = own or held[i] == r.id and holder.mode ~= nil
      if held[i] ~= r.id and holder.mode and not lapsed(ctx, holder) then
        add(used, holder)
      end
    end
    if not own and not fits(ctx, need.resource, used, need) then
      return false
    end
  end
  return true
end

local function hold_end(ctx, r)
  local clock = tonumber(redis.call('ZSCORE', ctx.p .. K_DEADLINES, r.id) or nil)
  if r.state == 'held' then
    return r.expires > 0 and r.expires or clock or ctx.now + r.hold_ms
  end
  return clock or lease_end(ctx, r, LONGEST_HOLD)
end

-- Unless another has got it meanwhile: then what is written there has the newer fence.
local function hold_again(ctx, r)
  if not room(ctx, r) then
    lapse(ctx, r, 'another holds what it held')
    return
  end
  redis.call('SADD', ctx.p .. K_OWNS .. r.session, r.id)
  if r.spare then
    -- Its worker asks before it begins it, so nothing is lost but a chance.
    no_longer_spare(ctx, r)
  end
  local expires = hold_end(ctx, r)
  if r.needs then
    register(ctx, r)
    take(ctx, r, r.session, r.fence, expires)
    for _, need in ipairs(needs_of(ctx, r)) do
      redis.call('ZREM', ctx.p .. K_LINE .. need.resource, r.id)
      touch(ctx, need.resource)
    end
  end
  if expires then
    redis.call('ZADD', ctx.p .. K_DEADLINES, text(expires), r.id)
  end
end
