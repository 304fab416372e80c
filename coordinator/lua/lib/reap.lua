-- Takes back what a session has that is over, in bounded steps, and forgets it when nothing is left.
--@include lib/idle
--@include lib/lapse
-- What one call does at most: sessions, what they own, and lines they leave behind.
local MAX_OWNED, MAX_LINES = 48, 24
local reap = { MAX_SESSIONS = 32 }

local function forget_session(ctx, session)
  idle.leave(ctx, session)
  redis.call('ZREM', ctx.p .. K_SESSIONS, session)
  ctx.lives[session] = false
  redis.call('ZREM', ctx.p .. K_NEAR, session)
  redis.call('DEL', ctx.p .. K_SESSION .. session, ctx.p .. K_INBOX .. session, ctx.p .. K_BATCH .. session)
end

-- Takes back at most `most` (or MAX_OWNED) of what a session owns. Each line that is left behind is looked at before the
-- script ends, and somebody may be granted what came free: after `lines` (or MAX_LINES) the rest is for another call.
-- Returns how many holdings the session still has, and how many were looked at.
function reap.session(ctx, session, take_back, most, lines)
  local owns, looked = ctx.p .. K_OWNS .. session, 0
  local most_lines = math.min(MAX_LINES, #ctx.dirty + (lines or MAX_LINES))
  for _, id in ipairs(redis.call('SRANDMEMBER', owns, most or MAX_OWNED)) do
    if #ctx.dirty >= most_lines then break end
    looked = looked + 1
    local r = load(ctx, id)
    if r and r.session == session and (r.state == 'waiting' or r.state == 'held' or r.state == 'running') then
      take_back(ctx, r)
    end
    redis.call('SREM', owns, id)
  end
  local left = redis.call('SCARD', owns)
  if left == 0 then
    forget_session(ctx, session)
  end
  return left, looked
end

-- Where a host goes down with hundreds of processes the job of the last is to run elsewhere as soon as that of the first,
-- and that of a worker as soon as the locks of a process that had thousands: each session has its share of the call, and
-- whoever needs more has what the others leave. Who has something left after that stands behind all the other dead from
-- then on: there may be more of them than one call looks at. Returns how much was found.
function reap.dead(ctx, sessions)
  local found, room, lefts = 0, MAX_OWNED, {}
  for _, parts in ipairs({ math.max(1, #sessions), 1 }) do
    local most, lines = math.max(1, math.floor(MAX_OWNED / parts)), math.max(1, math.floor(MAX_LINES / parts))
    for _, session in ipairs(sessions) do
      if room <= 0 or #ctx.dirty >= MAX_LINES then break end
      if lefts[session] ~= 0 then
        local take_back, looked = function(_, r) lapse(ctx, r, 'session lost') end
        lefts[session], looked = reap.session(ctx, session, take_back, math.min(most, room), lines)
        room = room - looked - (lefts[session] == 0 and 1 or 0)
      end
    end
  end
  for _, session in ipairs(sessions) do
    local left = lefts[session]
    if left and left > 0 then
      redis.call('ZADD', ctx.p .. K_SESSIONS, 'XX', now_text(ctx), session)
    end
    found = found + (left and 1 + left or 0)
  end
  return found
end
