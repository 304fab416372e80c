-- The first resource that a new request would have to wait for, if any; and whether it can be granted as things are
-- written, without joining its lines first: nobody is in them, and nothing has to be taken back.
--@include lib/front
--@include lib/overlap
--@include lib/tree
local function blocked(ctx, r)
  local all_clear = true
  for _, need in ipairs(r.needs_list) do
    local fit, clear = front(ctx, need, defined.score(ctx, r, need.resource), r.id)
    if not fit or beside.kept_from(ctx, r, need) then
      return need.resource, false
    end
    -- Beside a subtree lines are joined, so that offers above and below which now stand behind step back.
    all_clear = all_clear and clear and not tree.is(need.resource) and not tree.above(ctx, need.resource)[1]
  end
  return nil, all_clear
end
