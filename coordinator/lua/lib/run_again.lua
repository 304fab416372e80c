-- A retry without a pause.
--@include lib/move
--@include lib/places
--@include lib/admit
-- A retry at once keeps the lease and all it holds: only the fence and the count move on. Returns the new fence.
local function run_again(ctx, r, attempts, why)
  local fence = text(draw(ctx))
  local expires = tonumber(redis.call('ZSCORE', ctx.p .. K_DEADLINES, r.id) or nil)
  if r.run_ms then
    expires = math.min(r.end_by or math.huge, ctx.now + defined.held_for(ctx, r, r.run_ms + ctx.session_ms))
    redis.call('ZADD', ctx.p .. K_DEADLINES, text(expires), r.id)
  end
  if r.spare then
    no_longer_spare(ctx, r)
  end
  if r.needs then
    take(ctx, r, r.session, fence, expires)
  end
  move(ctx, r, 'again', 'settled', r.fence, 'fence', fence, 'again', fence, 'attempts', attempts, 'why', why,
    'since', text(ctx.now), 'waited', '0')
  redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'started')
  pass_gates(ctx, r, fence)
  return fence
end
