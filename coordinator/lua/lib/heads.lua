-- What is ready in the queues of a worker, where nothing is shared by weights: one after the other by rank.
-- The best ready jobs over several queues: each queue's head, merged by rank. Those of one are in their order already.
local function merged_heads(ctx, queues, wanted)
  local found = {}
  if queues[1] and not queues[2] then
    return redis.call('ZRANGE', ctx.p .. K_READY .. queues[1], 0, wanted - 1)
  end
  for _, queue in ipairs(queues) do
    local head = redis.call('ZRANGE', ctx.p .. K_READY .. queue, 0, wanted - 1, 'WITHSCORES')
    local last = #head == 2 * wanted and tonumber(head[#head])
    for i = 1, #head, 2 do
      found[#found + 1] = { id = head[i], rank = tonumber(head[i + 1]), queue = queue, last = last }
    end
  end
  table.sort(found, function(a, b) return a.rank < b.rank or (a.rank == b.rank and a.id < b.id) end)
  return found
end

local function order_of(ctx, queues, wanted)
  return { heads = merged_heads(ctx, queues, wanted), at = 0, known = math.huge, only = queues[1] and not queues[2] and { queue = queues[1] } }
end

-- The next of them. Behind one that was not handed out its queue may go on with jobs better than the next of another queue:
-- the look ends before those.
local function head_by_rank(order, last, claimed)
  local only = order.only
  if only then
    order.at, only.id = order.at + 1, order.heads[order.at + 1]
    return only.id and only
  elseif last and not claimed then
    order.known = math.min(order.known, last.last or order.known)
  end
  order.at = order.at + 1
  local found = order.heads[order.at]
  return found and found.rank <= order.known and found or nil
end
