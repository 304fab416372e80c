-- Of short needs nothing can be lost but with the record.
--@include lib/request
local function needs_lost(ctx, r)
  return r.needs and tonumber(r.needs) and #parse_needs(needs_text(ctx, r)) ~= tonumber(r.needs)
end
