-- Stops granting a resource, or all below a path, until a time; a call for the same pattern again sets another time.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] pattern: a resource, `path/**`, or `**`
-- ARGV[3] for how long, in ms
-- ARGV[4] who does it
-- ARGV[5] reason
-- ARGV[6] id of this call
-- reply: ok <until ms>
-- reply: too_many <limit>
-- Keeps: what is held stays held, and everybody keeps their place; a repeated call answers as the first did.
--@include lib/thaw
--@include lib/audited
--@include lib/commit
local MAX_FREEZES = 64

local ctx = open(KEYS[1], ARGV[1])
local key = ctx.p .. K_FREEZES
for _, one in ipairs(halts.freezes(ctx)) do
  if one.call == ARGV[6] then
    return { 'ok', text(one.ends) }
  end
end
if redis.call('HEXISTS', key, ARGV[2]) == 0 and redis.call('HLEN', key) >= MAX_FREEZES then
  return { 'too_many', MAX_FREEZES }
end
local ends = ctx.now + tonumber(ARGV[3])
thawing.write(ctx, { pattern = ARGV[2], ends = ends, since = text(ctx.now), by = ARGV[4], cursor = '-', call = ARGV[6],
  why = ARGV[5] })
redis.call('HSET', ctx.meta, 'frozen', 1)
audited(ctx, 'freeze', ARGV[2], ARGV[4], ARGV[5], 'until', text(ends))
commit(ctx)
return { 'ok', text(ends) }
