-- Takes back what dead sessions held and what ran out of time, without a session of one's own.
-- KEYS[1] meta
-- ARGV[1] terms
-- reply: ok <how much was found; above 0 another call may find more>
-- Keeps: each call does bounded work.
--@flags allow-oom
--@include lib/sweep
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local found = sweep(ctx)
commit(ctx)
return { 'ok', found }
