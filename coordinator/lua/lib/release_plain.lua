-- The shorter way out for a plain lock: it leaves the same behind as `finish` does. Returns whether it was one.
--@include lib/plain_lock
--@include lib/finish
--@include lib/settle_lines
local function release_plain(ctx, r)
  local resource = not ctx.leftover and not r.dedup and plain_lock.on(ctx, r.needs or '')
  if not resource then
    return false
  end
  local id, stats, now = r.id, ctx.stats, now_text(ctx)
  redis.call('ZREM', ctx.p .. K_DEADLINES, id)
  redis.call('HDEL', ctx.p .. K_HOLDERS .. resource, id)
  local wanted = not retire_resource(ctx, resource)
  redis.call('HSET', ctx.p .. K_REQ .. id, 'state', plain_lock.RELEASED, 'ended', now)
  r.state = plain_lock.RELEASED
  if ctx.max_events ~= 0 then
    add_event(ctx, 'release', id, 'state', r.state, 'needs', r.needs, 'ended', now)
  end
  stats.release = (stats.release or 0) + 1
  retain(ctx, r, ctx.result_words)
  redis.call('SREM', ctx.p .. K_OWNS .. r.session, id)
  if wanted then
    touch(ctx, resource)
    settle_lines(ctx)
  end
  return true
end
