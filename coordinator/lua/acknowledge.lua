-- Notes that somebody has seen an alert.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] the rule of the alert
-- ARGV[3] how it stood
-- ARGV[4] how it stands: the same, and acknowledged
-- ARGV[5] by whom
-- reply: ok
-- reply: changed
-- Keeps: what has changed in between is not overwritten; an acknowledgement that is repeated is no change.
--@include lib/emit
local ctx = open(KEYS[1], ARGV[1])
local alerts = ctx.p .. K_ALERTS
local now = redis.call('HGET', alerts, ARGV[2])
if now == ARGV[4] then
  return { 'ok' }
end
if now ~= ARGV[3] then
  return { 'changed' }
end
redis.call('HSET', alerts, ARGV[2], ARGV[4])
emit(ctx, 'alert', ARGV[2], 'state', 'acknowledged', 'by', ARGV[5])
return { 'ok' }
