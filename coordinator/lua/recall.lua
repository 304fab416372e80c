-- Hands out the answers that are kept under some dedup keys, and the jobs that are about to give one.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id of the process, which may keep copies and is told when they are out of date
-- ARGV[3...] dedup keys
-- reply: ok [<answer>]... ; answer: [id, ms for which it is good or empty while the job is under way, result], or [] for none
-- reply: session_lost
-- Keeps: a process is known as a keeper of copies before it has one.
--@flags allow-oom
--@include lib/context
--@include lib/send
local ctx = open(KEYS[1], ARGV[1])
local session, reply = ARGV[2], { 'ok' }
if not live(ctx, session) then
  return { 'session_lost' }
end

local function answer_of(key)
  local value = redis.call('GET', ctx.p .. K_DEDUP .. key)
  local id, till = string.match(value or '', '^(%S+) ?(%d*)$')
  if not id then
    return {}
  elseif till == '' then
    return { id, '', '' }
  end
  local rest = tonumber(till) - ctx.now
  return rest > 0 and { id, text(rest), redis.call('GET', ctx.p .. K_RESULT .. id) or '' } or {}
end

for i = 3, #ARGV do
  reply[i - 1] = answer_of(ARGV[i])
end
if not redis.call('ZSCORE', ctx.p .. K_NEAR, session) then
  redis.call('ZADD', ctx.p .. K_NEAR, 0, session)
end
return reply
