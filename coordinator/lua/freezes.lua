-- Lists what is frozen.
-- KEYS[1] meta
-- ARGV[1] terms
-- reply: ok <now ms> [<freeze>]... ; freeze: [pattern, until ms, since ms, by, reason]
-- Keeps: nothing is written.
--@flags no-writes
--@include lib/context
--@include lib/frozen
local ctx = open(KEYS[1], ARGV[1])
local list = {}
for _, one in ipairs(halts.freezes(ctx)) do
  if one.ends > ctx.now then
    list[#list + 1] = { one.pattern, text(one.ends), one.since, one.by, one.why }
  end
end
return { 'ok', text(ctx.now), list }
