-- Runs `promote` for every resource this script touched, including those that promoting touches in turn. The work of
-- one script is bounded; what is left over is kept in a set that the next sweep takes up.
--@include lib/promote
local MAX_PROMOTIONS = 512

local function settle_lines(ctx)
  write_owners(ctx)
  local at = 1
  while at <= #ctx.dirty do
    local resource = ctx.dirty[at]
    if at > MAX_PROMOTIONS then
      redis.call('SADD', ctx.p .. K_DIRTY, resource)
    else
      ctx.is_dirty[resource] = nil
      promote(ctx, resource)
    end
    at = at + 1
  end
  write_owners(ctx)
  ctx.dirty, ctx.is_dirty = {}, {}
end
