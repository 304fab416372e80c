-- A fact for the events stream, in the same script as the change it tells of, so that the two cannot disagree.
--@include lib/context
local function emit(ctx, event, id, ...)
  if ctx.max_events > 0 then
    redis.call('XADD', ctx.p .. K_EVENTS, 'MAXLEN', '~', ctx.max_events, '*',
      'event', event, 'id', id, 'ms', text(ctx.now), ...)
  end
end
