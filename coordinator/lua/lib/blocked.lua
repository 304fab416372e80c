-- The first resource that a new request would have to wait for, if any; and whether it can be granted as things are
-- written, without joining its lines first: nobody is in them, and nothing has to be taken back.
--@include lib/front
local function blocked(ctx, r)
  local all_clear = true
  for _, need in ipairs(r.needs_list) do
    local fit, clear = front(ctx, need, tonumber(rank_of(ctx, r)), r.id)
    if not fit or barred(ctx, r, need.resource) then
      return need.resource, false
    end
    all_clear = all_clear and clear
  end
  return nil, all_clear
end
