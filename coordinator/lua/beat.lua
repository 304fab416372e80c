-- One heartbeat of a session, however much it holds, and once a second for the namespace a bounded sweep.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] sweep interval in ms
-- ARGV[4...] id and fence pairs of jobs that have started since the last beat
-- reply: ok <messages ever sent to the inbox> <messages in it now> <ms until the next sweep is worth while> <holdings>
--   <version of the configuration>
-- reply: session_lost
-- Keeps: a lapsed session is not revived.
--@flags allow-oom
--@include lib/sweep
--@include lib/owner
--@include lib/start_job
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local session, interval = ARGV[2], tonumber(ARGV[3])
if not live(ctx, session) then
  return { 'session_lost' }
end
renew(ctx, session)
for i = 4, #ARGV, 2 do
  start_job(ctx, ARGV[i], ARGV[i + 1])
end
local again = interval
if ctx.now - ctx.swept >= interval - interval / 10 or next_due(ctx, interval) == 0 then
  if sweep(ctx) > 0 then
    again = 0
  end
end
again = math.min(again, next_due(ctx, interval))
commit(ctx)
local mail = redis.call('HGET', ctx.p .. K_SESSION .. session, 'mail') or '0'
local holdings = redis.call('SCARD', ctx.p .. K_OWNS .. session)
-- Whatever somebody else has written there must not stop the heartbeats of all.
local version = redis.pcall('HGET', ctx.p .. K_CONFIG, ':version')
version = type(version) == 'string' and #version <= 16 and string.match(version, '^%d+$') or '0'
return { 'ok', mail, redis.call('LLEN', ctx.p .. K_INBOX .. session), math.floor(again), holdings, version }
