-- The one admission path. `promote` looks at one line: it takes back what lapsed, then walks from the head while the
-- next waiter fits; a lock request at the front of all its lines is granted, a job is offered to its queue. It stops
-- at the first that has to wait (nobody passes it), and withdraws offers that now stand behind it.
--@include lib/front
--@include lib/evict
--@include lib/make_way
--@include lib/turn
--@include lib/passing
--@include lib/leftovers
--@include lib/flow
--@include lib/wake
local MAX_WALK, GRANT_LOOKS = 128, 8  -- waiters of one line; what a grant costs of the looks that one script has
local function grant(ctx, r)
  local fence = text(draw(ctx))
  r.hold_ms = defined.held_for(ctx, r, r.hold_ms)
  r.fence, r.expires = fence, ctx.now + r.hold_ms
  forget_nested(ctx, r)
  take(ctx, r, r.session, fence, r.expires)
  local expires = text(r.expires)
  redis.call('ZADD', ctx.p .. K_DEADLINES, expires, r.id)
  move(ctx, r, 'grant', 'fence', fence, 'since', now_text(ctx), 'expires', expires)
  ctx.granted, ctx.looks = r.session, ctx.looks + GRANT_LOOKS
  if ctx.asking ~= r.id then
    send(ctx, r.session, 'granted ' .. r.id .. ' ' .. fence .. ' ' .. text(r.hold_ms))
  end
end

local function retire(ctx, r)
  local late = out_of_time(ctx, r)
  finish(ctx, r, late and 'expire' or 'cancel', 'why', late or 'session lost')
  send(ctx, r.kind == 'lock' and r.session, 'ended ' .. r.id .. ' ' .. r.state)
end

-- Those who stand behind a new offer on its other lines may fit beside it.
local function touch_others(ctx, r, resource)
  for _, need in ipairs(needs_of(ctx, r)) do
    if need.resource ~= resource then
      touch(ctx, need.resource)
    end
  end
end

-- Looks at one waiter. Returns whether it stays in line, and whether the walk goes on behind it.
local function consider(ctx, r, resource, used, open)
  if beside.lapsed(ctx, r) then
    retire(ctx, r)
    return false, open
  end
  local need = need_on(ctx, r, resource)
  local fits_here = open and need and fits(ctx, resource, used, need)
  local fit = fits_here and not beside.kept_from(ctx, r, need)
  if r.state == 'ready' then
    if not fit then
      withdraw(ctx, r)
      return true, open and leave_waiting(ctx, r, resource, used)
    end
  elseif fit and its_turn(ctx, r, resource) then
    if r.kind == 'lock' then
      grant(ctx, r)
      step_out(ctx, r, resource)
    else
      offer(ctx, r)
      touch_others(ctx, r, resource)
    end
    widen(ctx, r)
  else
    return true, open and leave_waiting(ctx, r, resource, used, fits_here)
  end
  add(used, need)
  note_gap(ctx, r, resource, used)
  return r.state == 'ready', true
end

local function promote(ctx, resource)
  local line, known = ctx.p .. K_LINE .. resource, defined.of(ctx, resource)
  if known.turn and not turn_some(ctx, resource, known) then
    return
  end
  local first = redis.call('ZRANGE', line, '0', '3')
  if not ctx.thorough and not first[1] then
    return  -- nobody waits for what may have lapsed there
  end
  rouse.tend(ctx, resource)
  local used, evicted = evict(ctx, resource)
  if ctx.spare and make_way(ctx, resource) then
    used, evicted = usage(ctx, resource), true
  end
  if all_taken(ctx, resource, used, true) then
    return
  end
  local open, kept, seen = true, 0, 0
  while seen < MAX_WALK and kept < WINDOW do
    -- A job that a dead worker held, or that gave way, went back to its place, perhaps before those.
    local ids = seen == 0 and not evicted and first or redis.call('ZRANGE', line, kept, kept + 3)
    for at, id in ipairs(ids) do
      local r, stays = load(ctx, id), false
      if not r or (r.state ~= 'waiting' and r.state ~= 'ready') then
        redis.call('ZREM', line, id)
      elseif not open and r.state == 'waiting' and not ctx.arrived[id] and not ctx.thorough and not scattered(ctx, known) then
        -- Offers stand before all who waited already; only arrivals of this script can stand in between, or of
        -- the one that left this line to the sweep.
        return
      else
        stays, open = consider(ctx, r, resource, used, open)
        if (at < #ids or #ids == 4) and all_taken(ctx, resource, used) then
          return
        end
      end
      kept, seen, ctx.looks = kept + (stays and 1 or 0), seen + 1, ctx.looks + 1
    end
    if #ids < 4 then
      return forget_gaps(ctx, resource, known, used)
    end
  end
  if open and kept < WINDOW then
    leave(ctx, resource)
  elseif open then
    touch_strict(ctx, used.passed)
  end
end
