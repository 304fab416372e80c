-- Notes what a person did to the requests of others: who, why, when, and the fences before and after. It goes to the
-- events, and to a stream that only persons write to, so that no traffic pushes it out.
--@include lib/emit
--@include lib/request
local MAX_AUDITED, MAX_TOLD = 10000, 8
-- What has an event of its own, whoever does it.
local TOLD = { cancel = true, reprioritise = true, open_breaker = true, close_breaker = true }

-- What somebody loses, the first of it, and who that is. No name has a space where it stands in keys.
local function told_of(ctx, r)
  local names = {}
  for i, need in ipairs(needs_of(ctx, r)) do
    names[i] = i <= MAX_TOLD and need.resource or nil
  end
  return table.concat(names, ' '), redis.call('HGET', ctx.p .. K_NOTE .. r.id, 'owner') or ''
end

local function audited(ctx, verb, subject, by, why, ...)
  if not TOLD[verb] then
    emit(ctx, verb, subject, 'by', by, 'why', why, ...)
  end
  redis.call('XADD', ctx.p .. K_AUDIT, 'MAXLEN', '~', MAX_AUDITED, '*', 'event', verb, 'id', subject,
    'ms', text(ctx.now), 'by', by, 'why', why, ...)
end
