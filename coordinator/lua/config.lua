-- The settings that were changed for the running fleet, and what live processes say of them.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] of how many processes to tell what they say
-- ARGV[3] how many to leave out before these, those first whose sessions would lapse first
-- reply: ok <version> [<name> <value>...] <live processes> [<answer>...] ; answer: [session, kind, host, pid, `<version>` or `<version> <complaints>`]
-- Keeps: nothing is written.
--@flags no-writes
--@include lib/context
local ctx = open(KEYS[1], ARGV[1])
local fields, version, pairs_of = redis.call('HGETALL', ctx.p .. K_CONFIG), '0', {}
for i = 1, #fields, 2 do
  if fields[i] == ':version' then
    version = fields[i + 1]
  elseif fields[i] ~= ':call' then
    pairs_of[#pairs_of + 1], pairs_of[#pairs_of + 2] = fields[i], fields[i + 1]
  end
end
local live_ones, answers = '(' .. text(ctx.now), {}
for _, session in ipairs(redis.call('ZRANGEBYSCORE', ctx.p .. K_SESSIONS, live_ones, '+inf', 'LIMIT', ARGV[3],
  ARGV[2])) do
  -- Whatever somebody else has written there must not keep anybody from the settings.
  local r = redis.pcall('HMGET', ctx.p .. K_SESSION .. session, 'kind', 'host', 'pid', 'config')
  if not r.err then
    answers[#answers + 1] = { session, r[1] or '', r[2] or '', r[3] or '', r[4] or '' }
  end
end
return { 'ok', version, pairs_of, redis.call('ZCOUNT', ctx.p .. K_SESSIONS, live_ones, '+inf'), answers }
