-- Ends circles of waits: somebody in each is told that it cannot have what it asked for while it holds what it has.
--@include lib/cycle
--@include lib/finish
-- Circles that one script ends, and nested waiters that one sweep looks at.
local MAX_CIRCLES, MAX_LOOKED_AT = 8, 16
local circles = {}

-- Since when a piece of work has been at it. By that, and not by its last request, it is young or old: who has nearly
-- all it needs has the youngest requests, and were it to give way nobody would come to an end.
local function age_of(ctx, r)
  local first = r.flow and load(ctx, r.flow)
  return first and first.stamp or r.stamp
end

-- Who has to give way: of the lock requests the least urgent, and of those the youngest. A job never does: nobody would
-- begin anew for it.
local function victim_of(ctx, way)
  local chosen, youngest
  for _, r in ipairs(way) do
    local age = r.kind == 'lock' and age_of(ctx, r)
    if age and (not chosen or r.priority < chosen.priority or (r.priority == chosen.priority and age > youngest)) then
      chosen, youngest = r, age
    end
  end
  return chosen
end

local function said(way)
  local ids = {}
  for i, r in ipairs(way) do
    ids[i] = r.id
  end
  return table.concat(ids, ',')
end

local function give_way(ctx, victim, way)
  local cycle = said(way)
  finish(ctx, victim, 'cancel', 'why', 'deadlock: ' .. cycle)
  send(ctx, victim.session, 'ended ' .. victim.id .. ' ' .. victim.state .. ' ' .. cycle)
end

-- Returns the ids of a circle in which the one that arrives is the one to give way: it is refused.
circles.ends_here = function(ctx, r)
  local way = circle(ctx, r)
  return way and victim_of(ctx, way) == r and said(way)
end

-- Ends the circles that the request closes at the cost of others.
circles.untangle = function(ctx, r)
  for _ = 1, MAX_CIRCLES do
    local way = circle(ctx, r)
    local victim = way and victim_of(ctx, way)
    if not victim then
      return
    end
    give_way(ctx, victim, way)
    if victim == r then
      return
    end
  end
end

-- What changes of order, jobs and lapsed leases may have closed: every sweep looks at some of those who wait nested.
circles.untangle_some = function(ctx)
  local found = 0
  for _, id in ipairs(ctx.nested and redis.call('ZRANDMEMBER', ctx.p .. K_NESTED, MAX_LOOKED_AT) or {}) do
    local r = load(ctx, id)
    if not r or r.state ~= 'waiting' then
      forget_nested(ctx, r or { id = id, flow = '' })
    else
      local way = circle(ctx, r)
      local victim = way and victim_of(ctx, way)
      if victim then
        give_way(ctx, victim, way)
        found = found + 1
      end
    end
  end
  return found
end
