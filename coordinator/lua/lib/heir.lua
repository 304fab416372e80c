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

-- A freeze or a delay that keeps one who waits from having all it needs: what was taken for it then would be nobody's. The
-- answer of a script, or nothing.
local function kept_back(ctx, heir)
  for _, need in ipairs(needs_of(ctx, heir)) do
    local bar = halts.bar(ctx, heir, need.resource)
    if bar then
      return { 'barred', need.resource, text(bar.ends), bar.why }
    end
  end
end
