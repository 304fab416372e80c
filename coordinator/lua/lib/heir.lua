-- Whether one that waits can follow one that holds: it must want something of what the other has, or something above or
-- below that. One that waits at a gate stands in no line.
--@include lib/request
--@include lib/overlap
--@include lib/frozen
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

-- The answer of a script if it cannot follow, has lapsed and was not swept yet, or if a freeze or a delay keeps it from having
-- all it needs: what was taken for it then would be nobody's.
local function unfit(ctx, r, heir)
  if not can_follow(ctx, r, heir) then
    return { 'unfit', heir and heir.state or '' }
  elseif beside.lapsed(ctx, heir) then
    return { 'unfit', 'lapsed' }
  end
  for _, need in ipairs(needs_of(ctx, heir)) do
    local bar = halts.bar(ctx, heir, need.resource)
    if bar then
      return { 'barred', need.resource, text(bar.ends), bar.why }
    end
  end
end
