-- A delayed job whose time has come joins its queue or its lines, at the place of its new arrival.
--@include lib/enqueue
local function requeue(ctx, id)
  redis.call('ZREM', ctx.p .. K_SCHEDULED, id)
  local r = load(ctx, id)
  if r and r.state == 'scheduled' then
    defined.give_up_hand(ctx, r)
    r.stamp = draw(ctx)
    move(ctx, r, 'due', 'stamp', text(r.stamp))
    enqueue(ctx, r)
  end
end
