-- Runs `promote` for every resource this script touched, including those that promoting touches in turn. The work of
-- one script is bounded; what is left over is for the next.
--@include lib/promote
-- Lines, and waiters on all of them.
local MAX_PROMOTIONS, MAX_LOOKS = 512, 1024

local function settle_lines(ctx)
  if ctx.leftover then
    take_up(ctx)
  end
  owners.write(ctx)
  local at = 1
  while at <= #ctx.dirty or (ctx.loose and rouse.below(ctx)) do
    local resource = ctx.dirty[at]
    if at > MAX_PROMOTIONS or ctx.looks >= MAX_LOOKS then
      leave(ctx, resource)
    else
      ctx.is_dirty[resource] = nil
      promote(ctx, resource)
    end
    at = at + 1
  end
  owners.write(ctx)
  ctx.dirty, ctx.is_dirty = {}, {}
end
