-- Asks less urgent holders of what a request waits for to let go of it, where the request says so: `preempt` is `ask`,
-- or `cancel <grace ms>` for jobs that are to go back to their place. Nothing is taken from anybody. As a message may be
-- lost, the request gains urgency as it ages, and others may hold what it waits for by then, sweeps look again.
--@include lib/request
--@include lib/usage
--@include lib/overlap
--@include lib/frozen
--@include lib/emit
-- Holders that one look takes in, waiters that one sweep looks at, and ms from one look to the next, as well where it
-- would have nothing of what is let go of for it is frozen.
local MAX_ASKED, MAX_LOOKS, PAUSE_MS, FROZEN_MS = 64, 16, 5000, 1000
local preempt = {}

-- By now: it gains a level for each aging period that it waits.
local function urgency(ctx, r)
  return math.min(4, r.priority + math.floor(math.max(0, ctx.us - r.stamp) / ctx.aging_us))
end

-- Less urgent holders of a resource that do not fit beside a need, the least urgent first, and of those the youngest.
local function in_the_way(ctx, r, need, resource, budget)
  local found, level = {}, urgency(ctx, r)
  local held = redis.call('HRANDFIELD', ctx.p .. K_HOLDERS .. resource, budget.left, 'WITHVALUES') or {}
  budget.left = budget.left - #held / 2
  for i = 1, #held, 2 do
    local holder = parse_holder(held[i + 1])
    local other = (holder.mode == 'x' or need.mode == 'x') and load(ctx, held[i])
    if other and other.priority < level and (other.state == 'held' or other.state == 'running') then
      found[#found + 1] = { r = other, permits = holder.permits, mode = holder.mode }
    end
  end
  table.sort(found, function(a, b)
    return a.r.priority < b.r.priority or (a.r.priority == b.r.priority and tonumber(a.r.fence) > tonumber(b.r.fence))
  end)
  return found
end

-- The resource of a need, and those above and below it.
local function where_it_is_held(ctx, r, need)
  local found = { need.resource }
  if ctx.trees or tree.is(need.resource) then
    for _, other in ipairs(beside.around(ctx, need.resource, need.mode, rank_of(ctx, r))) do
      found[#found + 1] = other
    end
  end
  return found
end

local function ask_to_yield(ctx, holder, r)
  local asked, grace = holder.fence .. ' ' .. r.id, string.match(r.preempt, '%d+') or '-'
  if holder.yield ~= asked then
    redis.call('HSET', ctx.p .. K_REQ .. holder.id, 'yield', asked)
    emit(ctx, 'yield', holder.id, 'to', r.id)
  end
  send(ctx, holder.session, 'yield ' .. holder.id .. ' ' .. holder.fence .. ' ' .. grace)
end

local function is_kept_out(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    if halts.bar(ctx, r, need.resource) then
      return true
    end
  end
end

function preempt.ask(ctx, r)
  if not r or not r.preempt or r.state ~= 'waiting' then
    return
  elseif is_kept_out(ctx, r) then
    redis.call('ZADD', ctx.p .. K_PREEMPTS, text(ctx.now + FROZEN_MS), r.id)
    return
  end
  local budget = { left = MAX_ASKED }
  for _, need in ipairs(needs_of(ctx, r)) do
    for _, resource in ipairs(where_it_is_held(ctx, r, need)) do
      local wanted = resource == need.resource and need.permits or math.huge
      for _, one in ipairs(in_the_way(ctx, r, need, resource, budget)) do
        if wanted > 0 then
          ask_to_yield(ctx, one.r, r)
        end
        -- Of a counted resource no more of them than it takes.
        wanted = wanted - (one.mode == need.mode and one.permits or 0)
      end
    end
  end
  redis.call('ZADD', ctx.p .. K_PREEMPTS, text(ctx.now + PAUSE_MS), r.id)
end

function preempt.due(ctx)
  local due = redis.call('ZRANGEBYSCORE', ctx.p .. K_PREEMPTS, '-inf', text(ctx.now), 'LIMIT', 0, MAX_LOOKS)
  for _, id in ipairs(due) do
    local r = load(ctx, id)
    if r and r.state == 'waiting' then
      preempt.ask(ctx, r)
    elseif r and (r.state == 'running' or r.state == 'scheduled' or r.state == 'ready') then
      redis.call('ZADD', ctx.p .. K_PREEMPTS, text(ctx.now + PAUSE_MS), id)
    else
      redis.call('ZREM', ctx.p .. K_PREEMPTS, id)
    end
  end
end
