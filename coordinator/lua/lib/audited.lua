-- Notes what a person did to the requests of others: who, why, when, and the fences before and after. It goes to the
-- events, and to a stream that only persons write to, so that no traffic pushes it out.
--@include lib/emit
local MAX_AUDITED = 10000

local function audited(ctx, verb, subject, by, why, ...)
  emit(ctx, verb, subject, 'by', by, 'why', why, ...)
  redis.call('XADD', ctx.p .. K_AUDIT, 'MAXLEN', '~', MAX_AUDITED, '*', 'event', verb, 'id', subject,
    'ms', text(ctx.now), 'by', by, 'why', why, ...)
end
