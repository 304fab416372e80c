-- Judges one resource: its holders, its place in the register, its line. Reading only.
--@include lib/audit_line
--@include lib/audit_tree
-- A resource with more holders is shared or counted, and each of them is judged as a request too.
local MAX_HOLDERS = 1024

local function entries(ctx, resource)
  return redis.call('HRANDFIELD', ctx.p .. K_HOLDERS .. resource, MAX_HOLDERS, 'WITHVALUES')
end

-- What holders use before the first is looked at. Permits count only where no capacity was defined (`alone`): it may have
-- been lowered since, which takes nothing back.
local function unused(ctx, resource)
  return { permits = 0, alone = redis.call('HEXISTS', ctx.p .. K_DEF .. resource, 'capacity') == 0 }
end

-- Whether two holders cannot be there together.
local function clashes(used, holder)
  if used.mode and used.mode ~= holder.mode then
    return true
  end
  return used.alone and holder.mode == 'x' and used.permits + holder.permits > 1
end

local function audit_holders(ctx, resource, faults)
  local held, used, clash = entries(ctx, resource), unused(ctx, resource), false
  for i = 1, #held, 2 do
    local holder = parse_holder(held[i + 1])
    if not holder.mode then
      faults[#faults + 1] = 'its holder ' .. held[i] .. ' cannot be read'
    else
      clash = clash or clashes(used, holder)
      add(used, holder)
    end
  end
  if clash then
    faults[#faults + 1] = 'its holders cannot hold it together'
  end
end

-- The first live waiter, if it could have all it needs. What lapsed within `grace` still counts as there: nobody can
-- have noticed yet. What is in use does not change while it is looked at, and to add it up may be most of the work.
local function forgotten(ctx, resource, grace)
  local now, used = ctx.now, nil
  ctx.now = now - grace
  for _, id in ipairs(redis.call('ZRANGE', ctx.p .. K_LINE .. resource, 0, WINDOW - 1)) do
    local r = load(ctx, id)
    if r and r.state ~= 'ready' and not beside.lapsed(ctx, r) then
      local need = r.state == 'waiting' and need_on(ctx, r, resource)
      used = used or usage(ctx, resource)
      local fit = need and fits(ctx, resource, used, need)
      local could = fit and all_settled(ctx, r) and front_everywhere(ctx, r)
      if could or not need or not defined.passed_over(ctx, r, resource, fit) then
        ctx.now = now
        return could and not beside.lapsed(ctx, r) and id
      end
    end
  end
  ctx.now = now
end

-- A delay after a crash that nobody will end, or that is over for longer than `grace`.
local function audit_delay(ctx, resource, grace, faults)
  local ends = string.match(defined.of(ctx, resource).delayed or '', '^(%d+) ')
  local clock = ends and redis.call('ZSCORE', ctx.p .. K_DEADLINES, '!' .. resource)
  local seen = ends and ctx.delays and redis.call('ZSCORE', ctx.p .. K_DELAYS, resource)
  if ends and (not clock or not seen or tonumber(ends) <= ctx.now - grace) then
    faults[#faults + 1] = 'its lock_delay does not end'
  end
end

local function audit_resource(ctx, resource, grace)
  local faults = {}
  audit_holders(ctx, resource, faults)
  audit_delay(ctx, resource, grace, faults)
  local there = redis.call('EXISTS', ctx.p .. K_LINE .. resource, ctx.p .. K_HOLDERS .. resource) > 0
  if there ~= (redis.call('ZSCORE', ctx.p .. K_RESOURCES, resource) ~= false) then
    faults[#faults + 1] = there and 'is in use, but not registered' or 'is registered, but not in use'
  end
  audit_tree(ctx, resource, there, faults)
  local waiter = #faults == 0 and forgotten(ctx, resource, grace)
  if waiter then
    faults[#faults + 1] = waiter .. ' waits for it although it could have it'
  end
  return faults
end
