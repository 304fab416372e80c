-- Ready jobs on their way into their queues. A script that accepts many jobs gathers them in `ctx.offers`, a list for each
-- queue, and writes them before it ends: one command for each job would be a third of the commands of a submission.
--@include lib/request
local function put_offer(ctx, r)
  if not ctx.offers then
    redis.call('ZADD', ctx.p .. K_READY .. r.queue, rank_of(ctx, r), r.id)
    return
  end
  local list = ctx.offers[r.queue] or {}
  list[#list + 1], list[#list + 2] = rank_of(ctx, r), r.id
  ctx.offers[r.queue] = list
end

local function write_offers(ctx)
  for queue, list in pairs(ctx.offers or {}) do
    redis.call('ZADD', ctx.p .. K_READY .. queue, unpack(list))
    ctx.offers[queue] = nil
  end
end
