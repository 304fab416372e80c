-- One heartbeat of a session, however much it holds, and once a second for the namespace a bounded sweep.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] sweep interval in ms
-- ARGV[4...] id and fence pairs of jobs that have started since the last beat
-- reply: ok <messages ever sent to the inbox> <messages in it now> <ms until the next sweep is worth while> <holdings>
--   <version of the configuration>
-- reply: session_lost
-- Where a sweep leaves something it is not ms but -1: its process goes on as soon as it has let others have their turns,
-- and all the others leave that to it.
-- Keeps: a lapsed session is not revived.
--@flags allow-oom
--@include lib/sweep
--@include lib/owner
--@include lib/start_job
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local session, interval = ARGV[2], tonumber(ARGV[3])
-- For how long nothing is done beside a process that goes on: it may have died meanwhile.
local HANDS_OFF_MS = 200

-- Returns when to come again.
local function sweep_some(limit)
  local since = ctx.now - ctx.swept
  local wait = since < limit - limit / 10 and next_due(ctx, limit) or 0
  if wait > 0 then
    return wait
  elseif ctx.sweeper and ctx.sweeper ~= session and since < HANDS_OFF_MS then
    return math.min(limit, HANDS_OFF_MS)
  end
  local found = sweep(ctx)
  wait = next_due(ctx, limit)
  local goes_on = found > 0 and wait == 0
  if goes_on and ctx.sweeper ~= session then
    redis.call('HSET', ctx.meta, 'sweeper', session)
  elseif ctx.sweeper and not goes_on then
    redis.call('HDEL', ctx.meta, 'sweeper')
  end
  return goes_on and -1 or found > 0 and 0 or wait
end

if not live(ctx, session) then
  return { 'session_lost' }
end
renew(ctx, session)
for i = 4, #ARGV, 2 do
  start_job(ctx, ARGV[i], ARGV[i + 1])
end
local again = sweep_some(interval)
commit(ctx)
local mail = redis.call('HGET', ctx.p .. K_SESSION .. session, 'mail') or '0'
local holdings = redis.call('SCARD', ctx.p .. K_OWNS .. session)
-- Whatever somebody else has written there must not stop the heartbeats of all.
local version = redis.pcall('HGET', ctx.p .. K_CONFIG, ':version')
version = type(version) == 'string' and #version <= 16 and string.match(version, '^%d+$') or '0'
return { 'ok', mail, redis.call('LLEN', ctx.p .. K_INBOX .. session), math.floor(again), holdings, version }
