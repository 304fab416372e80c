-- Freezes: resources that are granted to nobody for a time, while everybody keeps their place. What is held stays held.
-- One is kept under its pattern, a resource or `path/**` for all below it too, as `<until ms> <since ms> <cursor> <call> <by>`
-- and the reason on another line. One that is over is thawed page by page from its cursor: the lines below it have to move on.
--@include lib/tree
local FREEZE = '^(%d+) (%d+) (%S+) (%S+) ([^\n]*)\n(.*)$'

local function freezes(ctx)
  if not ctx.freezes then
    ctx.freezes = {}
    local all = ctx.frozen and redis.call('HGETALL', ctx.p .. K_FREEZES) or {}
    for i = 1, #all, 2 do
      local ends, since, cursor, call, by, why = string.match(all[i + 1], FREEZE)
      if ends then
        table.insert(ctx.freezes, { pattern = all[i], ends = tonumber(ends), since = since, by = by, cursor = cursor,
          call = call, why = why })
      end
    end
  end
  return ctx.freezes
end

-- Whether a freeze keeps a resource from being granted; a subtree is kept by a freeze of anything in it.
local function stops(pattern, resource)
  return tree.covers(pattern, resource) or (tree.is(resource) and tree.covers(resource, tree.path_of(pattern) or pattern))
end

-- The freeze that keeps a resource from being granted now, if any.
local function freeze_on(ctx, resource)
  for _, one in ipairs(ctx.frozen and freezes(ctx) or {}) do
    if one.ends > ctx.now and stops(one.pattern, resource) then
      return one
    end
  end
end

-- Whether a request may not have a resource for a freeze. Somebody with the right to may have let it pass.
local function barred(ctx, r, resource)
  return ctx.frozen and not r.passes and freeze_on(ctx, resource)
end
