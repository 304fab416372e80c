-- Ready jobs on their way into their queues. A script that accepts many jobs gathers them in `ctx.offers`, a list for each
-- key, and writes them before it ends: one command for each job would be a third of the commands of a submission.
--@include lib/request
--@include lib/classes
local function put_into(ctx, key, rank, id)
  if not ctx.offers then
    redis.call('ZADD', ctx.p .. key, rank, id)
    return
  end
  local list = ctx.offers[key] or {}
  list[#list + 1], list[#list + 2] = rank, id
  ctx.offers[key] = list
end

local function put_offer(ctx, r)
  local rank = rank_of(ctx, r)
  put_into(ctx, K_READY .. r.queue, rank, r.id)
  if is_shared(ctx, r.queue) then
    put_into(ctx, class_of(r.queue, r.priority), rank, r.id)
  end
end

local function write_offers(ctx)
  for key, list in pairs(ctx.offers or {}) do
    redis.call('ZADD', ctx.p .. key, unpack(list))
    ctx.offers[key] = nil
  end
end

-- Takes jobs out of a queue.
local function take_offers(ctx, queue, ...)
  redis.call('ZREM', ctx.p .. K_READY .. queue, ...)
  unclassify(ctx, queue, ...)
end
