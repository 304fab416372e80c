-- Tells how a request stands, and if it is not over, has its end told to a session's inbox.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] session id, or empty to look without watching
-- reply: final <state> <why> <result; of a job that was shed: jobs, limit, below so many it is let in, ms that the middle one had waited, its place, queue, and the line if it was displaced from one>
-- reply: pending <state> <progress>
-- reply: gone
-- reply: session_lost
-- Keeps: looking and watching are one step, so the end cannot fall between them.
--@flags allow-oom
--@include lib/context
--@include lib/send
local ctx = open(KEYS[1], ARGV[1])
local id, session = ARGV[2], ARGV[3]
local v = redis.call('HMGET', ctx.p .. K_REQ .. id, 'state', 'ended', 'why', 'progress', 'ttl_ms', 'shed', 'queue', 'shed_from')
if not v[1] then
  return { 'gone' }
elseif v[2] and session ~= '' and v[1] == 'succeeded'
  and tonumber(v[2]) + math.max(ctx.result_ms, tonumber(v[5] or 0)) <= ctx.now then
  -- Only its dedup key still keeps the record; without its result it cannot be told from a job that had none.
  return { 'gone' }
elseif v[2] then
  local shed = v[6] and v[6] .. ' ' .. (v[7] or '') .. (v[8] and ' ' .. v[8] or '')
  return { 'final', v[1], v[3] or '', shed or redis.call('GET', ctx.p .. K_RESULT .. id) or '' }
elseif session ~= '' then
  if not live(ctx, session) then
    return { 'session_lost' }
  end
  redis.call('HSET', ctx.p .. K_REQ .. id, 'watched', '1')
  redis.call('SADD', ctx.p .. K_WATCH .. id, session)
  redis.call('PEXPIRE', ctx.p .. K_WATCH .. id, 86400000)
end
return { 'pending', v[1], v[4] or '' }
