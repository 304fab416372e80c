-- A delayed job whose time has come joins its queue or its lines, at the place of its new arrival.
--@include lib/enqueue
local function requeue(ctx, id)
  redis.call('ZREM', ctx.p .. K_SCHEDULED, id)
  local r = load(ctx, id)
  if r and r.state == 'scheduled' then
    if r.rank then
      r.rank = nil
      redis.call('HDEL', ctx.p .. K_REQ .. id, 'rank')
    end
    r.stamp = draw(ctx)
    move(ctx, r, 'due', 'stamp', text(r.stamp))
    enqueue(ctx, r)
  end
end
