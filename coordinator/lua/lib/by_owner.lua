-- The requests of each owner that are not over. A record whose note has an owner says so (`note`), so that nothing is
-- looked up for the many that name none.
--@include lib/encoded
local OWNED = 'owner'

local function place_at_owner(owner)
  return K_BY_OWNER .. encoded(owner)
end

local function list_at_owner(ctx, id, owner)
  redis.call('ZADD', ctx.p .. place_at_owner(owner), 0, id)
end

-- Where its owner has it; nothing for a request of nobody.
local function owner_place(ctx, r)
  local owner = r.note == OWNED and redis.call('HGET', ctx.p .. K_NOTE .. r.id, 'owner')
  return owner and place_at_owner(owner) or nil
end

local function list_again(ctx, r)
  local place = owner_place(ctx, r)
  if place then
    redis.call('ZADD', ctx.p .. place, 0, r.id)
  end
end
