-- Brings the index of a queue by priority nearer to what is ready. It lacks what was ready before the queue was shared, and
-- what some fault took from it; so who uses it compares the counts, and goes on from where the last one has got to.
--@include lib/classes
-- Jobs in one look. No rank is there so many times that a page could be of one.
local MAX_INDEXED = 128

local function index_some(ctx, queue, share)
  local ready = ctx.p .. K_READY .. queue
  local lacks, lists = redis.call('ZCARD', ready), {}
  for priority = 0, 4 do
    lacks = lacks - redis.call('ZCARD', ctx.p .. class_of(queue, priority))
  end
  if lacks == 0 then
    share.cursor = ''
    return
  end
  share.moved = true
  local page = redis.call('ZRANGEBYSCORE', ready, share.cursor ~= '' and share.cursor or '-inf', '+inf', 'WITHSCORES',
    'LIMIT', 0, MAX_INDEXED)
  for i = 1, #page, 2 do
    local priority = tonumber(redis.call('HGET', ctx.p .. K_REQ .. page[i], 'priority') or 1)
    local key = class_of(queue, priority and priority < 5 and math.floor(math.abs(priority)) or 1)
    local list = lists[key] or {}
    list[#list + 1], list[#list + 2] = page[i + 1], page[i]
    lists[key] = list
  end
  for key, list in pairs(lists) do
    redis.call('ZADD', ctx.p .. key, unpack(list))
  end
  share.cursor = #page == 2 * MAX_INDEXED and page[#page] or ''
end
