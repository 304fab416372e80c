-- Stops granting a resource, or all below a path, until a time; a call for the same pattern again sets another time.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] pattern: a resource, `path/**`, or `**`
-- ARGV[3] for how long, in ms; empty with ARGV[7]
-- ARGV[4] who does it
-- ARGV[5] reason
-- ARGV[6] id of this call
-- ARGV[7] until when, in ms, or empty
-- reply: ok <until ms>
-- reply: too_many <limit>
-- reply: amiss <now ms>; it is over by then, or more than ten years away
-- Keeps: what is held stays held, and everybody keeps their place; a repeated call answers as the first did.
--@include lib/thaw
--@include lib/audited
--@include lib/commit
local MAX_FREEZES, MAX_MS = 64, 10 * 365 * 86400 * 1000

local ctx = open(KEYS[1], ARGV[1])
local key = ctx.p .. K_FREEZES
for _, one in ipairs(halts.freezes(ctx)) do
  if one.call == ARGV[6] then
    return { 'ok', text(one.ends) }
  end
end
local ends = tonumber(ARGV[7]) or ctx.now + tonumber(ARGV[3])
if ends <= ctx.now or ends > ctx.now + MAX_MS then
  return { 'amiss', text(ctx.now) }
elseif redis.call('HEXISTS', key, ARGV[2]) == 0 and redis.call('HLEN', key) >= MAX_FREEZES then
  return { 'too_many', MAX_FREEZES }
end
thawing.write(ctx, { pattern = ARGV[2], ends = ends, since = text(ctx.now), by = ARGV[4], cursor = '-', call = ARGV[6],
  why = ARGV[5] })
redis.call('HSET', ctx.meta, 'frozen', 1)
audited(ctx, 'freeze', ARGV[2], ARGV[4], ARGV[5], 'until', text(ends))
commit(ctx)
return { 'ok', text(ends) }
