-- Puts a job into the waiting world: straight into its queue if it needs nothing, else into the lines of all it
-- needs, from where `promote` offers it. The caller has set `stamp` and runs `settle_lines` afterwards.
--@include lib/move
--@include lib/places
--@include lib/watch_clock
--@include lib/offers
local function bell(ctx, queue)
  ctx.bells[queue] = (ctx.bells[queue] or 0) + 1
end

local function offer(ctx, r)
  if r.needs then
    redis.call('ZREM', ctx.p .. K_WAITING .. r.queue, r.id)
  end
  put_offer(ctx, r)
  move(ctx, r, 'offer')
  ctx.offered[r.id] = true
  bell(ctx, r.queue)
end

-- A candidate that a more urgent request has pushed back. Its other lines have to be looked at too: those behind it
-- there were offered on the strength of its own offer.
local function withdraw(ctx, r)
  take_offers(ctx, r.queue, r.id)
  redis.call('ZADD', ctx.p .. K_WAITING .. r.queue, rank_of(ctx, r), r.id)
  move(ctx, r, 'withdraw')
  ctx.arrived[r.id] = true
  for _, need in ipairs(needs_of(ctx, r)) do
    touch(ctx, need.resource)
  end
end

-- `r.state` is already `waiting`.
local function enqueue(ctx, r)
  watch_clock(ctx, r)
  if r.needs then
    redis.call('ZADD', ctx.p .. K_WAITING .. r.queue, rank_of(ctx, r), r.id)
    join_lines(ctx, r)
  else
    offer(ctx, r)
  end
end
