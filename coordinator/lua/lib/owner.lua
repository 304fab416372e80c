-- Every call that names its session counts as a heartbeat of it. A session that has lapsed is not revived: what it
-- held may have been handed on already.
--@include lib/context
--@include lib/send
local function renew(ctx, session)
  redis.call('ZADD', ctx.p .. K_SESSIONS, 'XX', text(ctx.now + ctx.session_ms), session)
end

-- As `renew`, for calls that are no beats. A client counts on its beats only, so nothing is written while the last
-- renewal is a tenth of the time to live old at most.
local function refresh(ctx, session)
  if (live(ctx, session) or 0) <= ctx.now + 0.9 * ctx.session_ms then
    renew(ctx, session)
  end
end
