-- Opens the session of one process, and with the first one the namespace.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] schema version
-- ARGV[4...] field and value pairs that describe the process; `gates HANDLER` tells the gates of a handler's jobs
-- reply: ok <session>
-- reply: schema <version of the namespace>
-- Keeps: a namespace written by another layout is never touched. Of workers that tell different things of one handler the
-- last one counts.
--@flags allow-oom
--@include lib/declare
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local session = ARGV[2]
local schema = redis.call('HGET', ctx.meta, 'schema')
if schema and schema ~= ARGV[3] then
  return { 'schema', schema }
end
redis.call('HSET', ctx.meta, 'schema', ARGV[3])
redis.call('ZADD', ctx.p .. K_SESSIONS, text(ctx.now + ctx.session_ms), session)
local fields, gates = {}, {}
for i = 4, #ARGV, 2 do
  local handler = string.match(ARGV[i], '^gates (.*)$')
  local list = handler and gates or fields
  list[#list + 1], list[#list + 2] = handler or ARGV[i], ARGV[i + 1]
end
redis.call('HSET', ctx.p .. K_SESSION .. session, 'since', text(ctx.now), unpack(fields))
declare(ctx, gates, session)
for queue in string.gmatch(redis.call('HGET', ctx.p .. K_SESSION .. session, 'queues') or '', '%S+') do
  redis.call('SADD', ctx.p .. K_QUEUES, queue)
end
commit(ctx)
return { 'ok', session }
