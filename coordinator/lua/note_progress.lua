-- Notes how far a running job is.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] fence
-- ARGV[4] progress as text; empty: that it begins
-- reply: ok
-- reply: stale
-- Keeps: only the holder of the newest fence is heard.
--@include lib/emit
--@include lib/start_job
local ctx = open(KEYS[1], ARGV[1])
local key = ctx.p .. K_REQ .. ARGV[2]
local v = redis.call('HMGET', key, 'state', 'fence')
if v[1] ~= 'running' or v[2] ~= ARGV[3] then
  return { 'stale' }
end
if ARGV[4] == '' then
  start_job(ctx, ARGV[2], ARGV[3])
  return { 'ok' }
end
redis.call('HSET', key, 'progress', ARGV[4])
emit(ctx, 'progress', ARGV[2], 'progress', ARGV[4])
return { 'ok' }
