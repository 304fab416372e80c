-- Whether one that waits can follow one that holds: it must want something of what the other has, or something above or
-- below that. One that waits at a gate stands in no line.
--@include lib/request
--@include lib/overlap
local function can_follow(ctx, r, heir)
  if not heir or (heir.state ~= 'waiting' and heir.state ~= 'ready') or heir.gate then
    return false
  end
  for _, need in ipairs(needs_of(ctx, r)) do
    for _, their in ipairs(needs_of(ctx, heir)) do
      if their.resource == need.resource or beside.overlap(their.resource, need.resource) then
        return true
      end
    end
  end
  return false
end
