-- Ends a freeze: whoever stands at the front has the resource at once.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] pattern, as it was frozen
-- ARGV[3] who does it
-- ARGV[4] reason
-- reply: ok
-- reply: not_frozen
-- Keeps: everybody's place; each call does bounded work, and sweeps go on with what is left.
--@flags allow-oom
--@include lib/settle_lines
--@include lib/thaw
--@include lib/audited
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
for _, one in ipairs(halts.freezes(ctx)) do
  if one.pattern == ARGV[2] and one.ends > ctx.now then
    one.ends = ctx.now
    audited(ctx, 'thaw', ARGV[2], ARGV[3], ARGV[4])
    thawing.some(ctx, one)
    take_up(ctx)
    settle_lines(ctx)
    commit(ctx)
    return { 'ok' }
  end
end
return { 'not_frozen' }
