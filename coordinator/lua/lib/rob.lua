-- Takes spare jobs from their workers for one that is idle, those first that have the most before them: that is the tail
-- of the most loaded worker, and then of the one that is most loaded without it (`coordinator/policy/steal.py`). A job is
-- given back without burning an attempt or a token, and claimed in the usual way: so its place, its resources and its
-- gates are nobody's special case, and a more urgent one that came meanwhile is first.
--@include lib/unbegun
--@include lib/settle_lines
local function tails(ctx, queues, wanted)
  local found = {}
  for _, queue in ipairs(queues) do
    local tail = redis.call('ZREVRANGE', ctx.p .. K_SPARE .. queue, 0, wanted - 1, 'WITHSCORES')
    for i = 1, #tail, 2 do
      found[#found + 1] = { id = tail[i], place = tonumber(tail[i + 1]), queue = queue }
    end
  end
  if #queues > 1 then
    table.sort(found, function(a, b) return a.place > b.place or (a.place == b.place and a.id > b.id) end)
  end
  return found
end

-- Returns how many jobs were taken; they wait to be claimed.
local function rob(ctx, session, wanted, queues)
  local taken = 0
  for _, one in ipairs(tails(ctx, queues, wanted)) do
    local r = taken < wanted and load(ctx, one.id)
    if r == nil or (r and not (r.spare and r.state == 'running')) then
      redis.call('ZREM', ctx.p .. K_SPARE .. one.queue, one.id)
    elseif r and r.session ~= session then
      taken = taken + 1
      ctx.robbed = ctx.robbed or {}
      ctx.robbed[r.id] = r.session
      take_back_spare(ctx, r)
    end
  end
  settle_lines(ctx)
  return taken
end
