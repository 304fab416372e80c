-- Writes how alerts stand now, and tells of every one that was raised, worsened or resolved.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] process and number of the sample that was told to look at the alerts
-- ARGV[3...] per alert: its rule, how it stood, how it stands (empty: it is gone), what to tell (empty: nothing), level and figure
-- reply: ok
-- reply: stale
-- Keeps: only the newest judge writes, and only over what it has seen: an acknowledgement in between is not undone.
--@include lib/emit
local ctx = open(KEYS[1], ARGV[1])
local alerts = ctx.p .. K_ALERTS
if redis.call('HGET', ctx.p .. K_PULSE, 'judge') ~= ARGV[2] then
  return { 'stale' }
end
for i = 3, #ARGV, 6 do
  local rule, was, now, told = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if (redis.call('HGET', alerts, rule) or '') == was then
    if now == '' then
      redis.call('HDEL', alerts, rule)
    else
      redis.call('HSET', alerts, rule, now)
    end
    if told ~= '' then
      emit(ctx, 'alert', rule, 'state', told, 'level', ARGV[i + 4], 'figure', ARGV[i + 5])
    end
  end
end
return { 'ok' }
