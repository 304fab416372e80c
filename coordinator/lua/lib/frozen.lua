-- Freezes: resources that are granted to nobody for a time, while everybody keeps their place. What is held stays held.
-- One is kept under its pattern, a resource or `path/**` for all below it too, as `<until ms> <since ms> <cursor> <call> <by>`
-- and the reason on another line. One that is over is thawed page by page from its cursor: the lines below it have to move on.
--@include lib/tree
--@include lib/defined
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

-- The delay after a crash that keeps a resource from being granted now, in the words of a freeze.
local function delay_on(ctx, resource)
  local ends, lost = string.match(defined.of(ctx, resource).delayed or '', '^(%d+) (%S+)$')
  if ends and tonumber(ends) > ctx.now then
    return { pattern = resource, ends = tonumber(ends), by = '', why = 'lock_delay after the loss of ' .. lost }
  end
end

-- Whether a request may not have a resource for a freeze, or for a delay. Somebody with the right to may have let it pass.
local function barred(ctx, r, resource)
  return not r.passes and (ctx.frozen and freeze_on(ctx, resource) or ctx.defined and delay_on(ctx, resource))
end
