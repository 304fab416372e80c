-- A wait that the fleet has learnt, and nobody chose, is shorter where the queue or a line that it is for is beyond its
-- soft limit, as `policy.shed` has it. What is not beyond it costs a comparison of numbers that are known anyway.
--@include lib/context
-- `what` (queue | line) has so many beside which it is to stand. Of several the fullest counts.
local function note_fill(r, what, count, begins, limit)
  local share = begins < limit and count > begins and math.min(1, (count - begins) / (limit - begins)) or 0
  if share > (r.fill and r.fill.share or 0) then
    r.fill = { share = share, said = ' ' .. what .. ' ' .. text(count) .. ' ' .. text(limit) }
  end
end

-- The ms that it may wait, of `wait` and no fewer than `least`. A caller's own wait has no `least`, and stays.
local function shrink(r, wait, least)
  if not (r.fill and wait and least) then
    return wait
  end
  local ms = math.floor(math.max(math.min(least, wait), wait * (1 - r.fill.share / 2)))
  r.shrunk = ms < wait and text(ms) .. r.fill.said
  return ms
end
