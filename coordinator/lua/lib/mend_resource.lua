-- Puts a resource right. Of holders that cannot be there together the newest fence stays, because what the older ones
-- still do is refused by it; a line that waits for nothing is walked again.
--@include lib/audit_resource
--@include lib/mend_hold
--@include lib/lapse
--@include lib/frozen
--@include lib/mend_tree
-- The holders as a list, the newest fence first; those that cannot be read come last.
local function by_fence(ctx, resource)
  local held, list = entries(ctx, resource), {}
  for i = 1, #held, 2 do
    local holder = parse_holder(held[i + 1])
    holder.id, holder.order = held[i], tonumber(holder.fence or 0)
    list[#list + 1] = holder
  end
  table.sort(list, function(a, b) return a.order > b.order end)
  return list
end

local function mend_holder(ctx, resource, holder, used)
  local r = load(ctx, holder.id)
  local has = r and (r.state == 'held' or r.state == 'running') and need_on(ctx, r, resource)
  if not has then
    redis.call('HDEL', ctx.p .. K_HOLDERS .. resource, holder.id)
  elseif r.fence ~= holder.fence then
    hold_again(ctx, r)
  elseif clashes(used, holder) then
    lapse(ctx, r, 'held it beside another')
  else
    add(used, holder)
  end
end

local function mend_resource(ctx, resource)
  local used = unused(ctx, resource)
  for _, holder in ipairs(by_fence(ctx, resource)) do
    mend_holder(ctx, resource, holder, used)
  end
  mend_tree(ctx, resource)
  if redis.call('EXISTS', ctx.p .. K_LINE .. resource, ctx.p .. K_HOLDERS .. resource) > 0 then
    redis.call('ZADD', ctx.p .. K_RESOURCES, 0, resource)
  else
    redis.call('ZREM', ctx.p .. K_RESOURCES, resource)
  end
  local ends = string.match(defined.of(ctx, resource).delayed or '', '^(%d+) ')
  if ends then
    halts.note_delay(ctx, resource, ends)
  end
  touch(ctx, resource)
end
