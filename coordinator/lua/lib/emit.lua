-- A fact for the events stream, in the same script as the change it tells of, so that the two cannot disagree. Of a
-- request it also says the state, and what it needs where that is short enough to stand in its record: whoever follows a
-- resource learns from it what it is about, also when the record is gone.
--@include lib/context
local function add_event(ctx, event, id, ...)
  redis.call('XADD', ctx.p .. K_EVENTS, 'MAXLEN', '~', ctx.events_words, '*', 'event', event, 'id', id, 'ms', now_text(ctx), ...)
end

local function emit(ctx, event, subject, ...)
  if ctx.max_events == 0 then
    return
  elseif type(subject) ~= 'table' then
    add_event(ctx, event, subject, ...)
  elseif subject.needs and string.find(subject.needs, ':', 1, true) then
    add_event(ctx, event, subject.id, 'state', subject.state, 'needs', subject.needs, ...)
  else
    add_event(ctx, event, subject.id, 'state', subject.state, ...)
  end
end
