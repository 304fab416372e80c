-- A claimed job that its worker cannot begin is spare: until the worker has taken it back it begins nowhere, and whoever
-- is idle may have it. Its record says so (`spare`: its place in what the worker has not begun, and since when), and
-- whatever ends its lease ends that. As long as `meta` has a mark there may be such jobs; the sweep takes it away.
local function no_longer_spare(ctx, r)
  redis.call('ZREM', ctx.p .. K_SPARE .. r.queue, r.id)
  redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'spare')
  r.spare = nil
end
