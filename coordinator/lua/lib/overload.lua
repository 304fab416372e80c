-- How far a queue or a line is overloaded, as `policy.shed` has it: 0 not at all, 1 it refuses LOW, 2 also NORMAL. By the
-- bands of queues, or others.
local function level_of(ctx, before, count, bands)
  for level = 2, 1, -1 do
    local band = (bands or ctx.bands)[level]
    if count >= band.begins or (before >= level and count >= band.ends) then
      return level
    end
  end
  return 0
end
