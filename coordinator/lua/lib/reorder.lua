-- Other places in line for a request that waits. A place given by hand is a rank of the request's own for each order that
-- a line can have, which stands in its record until it gets another priority or arrives anew.
--@include lib/enqueue
-- Gives it the place of its rank, everywhere it waits. `falls`: it may be behind some whom it was before.
local function take_place(ctx, r, falls)
  if r.state == 'ready' and r.needs and falls then
    -- It may fall behind several who cannot go yet, where `promote` does not look for offers; it is offered anew.
    withdraw(ctx, r)
  end
  local rank = rank_of(ctx, r)
  if r.state == 'ready' then
    unclassify(ctx, r.queue, r.id)
    put_offer(ctx, r)
  elseif r.state == 'waiting' and r.kind == 'job' then
    redis.call('ZADD', ctx.p .. K_WAITING .. r.queue, rank, r.id)
  end
  if r.gate then
    redis.call('ZADD', ctx.p .. K_GATED .. r.gate .. ':' .. r.queue, rank, r.id)
  elseif r.state ~= 'scheduled' and r.needs then
    join_lines(ctx, r)
    for _, need in ipairs(falls and needs_of(ctx, r) or {}) do
      tree.loosen(ctx, need.resource)
    end
  end
end

local function put_at(ctx, r, places)
  local before = rank_number(ctx, r)
  defined.give_up_hand(ctx, r)
  for field, place in pairs(places) do
    r[field] = text(place)
    redis.call('HSET', ctx.p .. K_REQ .. r.id, field, r[field])
  end
  take_place(ctx, r, ctx.defined or rank_number(ctx, r) > before)
end
