-- What keys of the namespace are: their types, their times to live, and how the sessions they belong to stand.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] grace in ms: a session that lapsed less long ago is the sweep's business
-- ARGV[3...] per key: its name without the prefix, and the session it belongs to, or empty
-- reply: ok [<type> <ms to live, or -1> <live | lapsed | unknown | empty>]...
-- Keeps: each key is looked at in one moment; the caller sends a bounded number.
--@flags no-writes
--@include lib/context
local function standing(ctx, session, grace)
  local expires = tonumber(redis.call('ZSCORE', ctx.p .. K_SESSIONS, session) or nil)
  if not expires then
    return 'unknown'
  end
  return expires > ctx.now - grace and 'live' or 'lapsed'
end

local ctx = open(KEYS[1], ARGV[1])
local reply = { 'ok' }
for i = 3, #ARGV, 2 do
  local key, session = ctx.p .. ARGV[i], ARGV[i + 1]
  reply[#reply + 1] = { redis.call('TYPE', key).ok, redis.call('PTTL', key),
    session ~= '' and standing(ctx, session, tonumber(ARGV[2])) or '' }
end
return reply
