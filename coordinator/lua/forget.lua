-- Drops the answers kept under some dedup keys, and tells those who keep copies. A job under way no longer gives one.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] the last session that was told, or empty at first
-- ARGV[3...] dedup keys
-- reply: ok <the last session told, or empty if all were>
-- Keeps: whoever asks after this call gets nothing that was there before it.
--@flags allow-oom
--@include lib/near
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local keys = { unpack(ARGV, 3) }
if ARGV[2] == '' then
  for _, name in ipairs(keys) do
    redis.call('DEL', ctx.p .. K_DEDUP .. name)
  end
end
local last = tell_near(ctx, ARGV[2], keys)
commit(ctx)
return { 'ok', last }
