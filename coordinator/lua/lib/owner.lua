-- Every call that names its session counts as a heartbeat of it. A session that has lapsed is not revived: what it
-- held may have been handed on already.
--@include lib/context
local function refresh(ctx, session)
  redis.call('ZADD', ctx.p .. K_SESSIONS, 'XX', text(ctx.now + ctx.session_ms), session)
end
