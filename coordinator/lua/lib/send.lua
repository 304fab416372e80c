-- Messages to a session's inbox. They are hints: the truth is in the request. `mail` counts all messages ever sent,
-- so that a session whose connection dropped one notices at its next heartbeat.
-- Messages that also go along with a reply, at most.
local MAX_NEWS = 64

local function live(ctx, session)
  if not session then
    return false
  end
  local known = ctx.lives[session]
  if known == nil then
    local expires = redis.call('ZSCORE', ctx.p .. K_SESSIONS, session)
    known = expires and tonumber(expires) > ctx.now and tonumber(expires)
    ctx.lives[session] = known
  end
  return known
end

local function send(ctx, session, message)
  if session and (ctx.lives[session] or redis.call('ZSCORE', ctx.p .. K_SESSIONS, session)) then
    redis.call('RPUSH', ctx.p .. K_INBOX .. session, message)
    if session == ctx.caller and #ctx.news < MAX_NEWS then
      -- It is also told in the reply, which is there sooner.
      ctx.news[#ctx.news + 1] = message
    end
    redis.call('HINCRBY', ctx.p .. K_SESSION .. session, 'mail', '1')
  end
end
