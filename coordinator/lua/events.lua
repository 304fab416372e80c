-- Reads the events stream: the newest, or those after one that is known.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] id of the last event seen, or empty for the newest ones
-- ARGV[3] how many
-- reply: ok <now ms> [<event>]... ; event: [id, [<field> <value>...]]
-- Keeps: nothing is written. The stream is capped: whoever reads too slowly misses the oldest.
--@flags no-writes
--@include lib/context
--@include lib/page
local ctx = open(KEYS[1], ARGV[1])
return { 'ok', text(ctx.now), page(ctx, K_EVENTS, ARGV[2], ARGV[3]) }
