-- Whether one that waits can follow one that holds: it must want something of what the other has. One that waits at a
-- gate stands in no line.
--@include lib/request
local function can_follow(ctx, r, heir)
  if not heir or (heir.state ~= 'waiting' and heir.state ~= 'ready') or heir.gate then
    return false
  end
  for _, need in ipairs(needs_of(ctx, r)) do
    if need_on(ctx, heir, need.resource) then
      return true
    end
  end
  return false
end
