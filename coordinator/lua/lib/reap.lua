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
-- script ends, and somebody may be granted what came free: after so many lines the rest is for another call. Returns how
-- many holdings the session still has, and how many were looked at.
function reap.session(ctx, session, take_back, most)
  local owns, looked = ctx.p .. K_OWNS .. session, 0
  for _, id in ipairs(redis.call('SRANDMEMBER', owns, most or MAX_OWNED)) do
    if #ctx.dirty >= MAX_LINES then break end
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

-- Where a host goes down with hundreds of processes the job of the last is to run elsewhere as soon as that of the first:
-- with one session in each call it waited for as many calls. Returns how much was found.
function reap.dead(ctx, sessions)
  local found, room = 0, MAX_OWNED
  for _, session in ipairs(sessions) do
    if room <= 0 or #ctx.dirty >= MAX_LINES then break end
    local left, looked = reap.session(ctx, session, function(_, r) lapse(ctx, r, 'session lost') end, room)
    found, room = found + 1 + left, room - 1 - looked
  end
  return found
end
