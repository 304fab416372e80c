-- Reads what persons did: the newest, or those after one that is known.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] id of the last entry seen, or empty for the newest ones
-- ARGV[3] how many
-- reply: ok <now ms> [<entry>]... ; entry: [id, [<field> <value>...]]
-- Keeps: nothing is written.
--@flags no-writes
--@include lib/context
--@include lib/page
local ctx = open(KEYS[1], ARGV[1])
return { 'ok', text(ctx.now), page(ctx, K_AUDIT, ARGV[2], ARGV[3]) }
