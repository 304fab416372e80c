-- The requests of each owner that are not over, by id. A record whose note has an owner says so (`note`), so that nothing
-- is looked up for the many that name none.
--@include lib/encoded
-- Where an owner, or else that of the request, has its requests; nothing for a request of nobody.
local function owner_place(ctx, r, owner)
  owner = owner or r.note == 'owner' and redis.call('HGET', ctx.p .. K_NOTE .. r.id, 'owner')
  return owner and K_BY_OWNER .. encoded(owner) or nil
end
