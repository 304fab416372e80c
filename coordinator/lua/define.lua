-- Sets how many permits a resource has. More of them helps those who already wait; fewer never takes one back.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] resource
-- ARGV[3] capacity, 1 or more
-- reply: ok <capacity>
-- Keeps: the capacity is read live from here, never copied into requests.
--@include lib/settle_lines
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
redis.call('HSET', ctx.p .. K_DEF .. ARGV[2], 'capacity', ARGV[3])
emit(ctx, 'define', ARGV[2], 'capacity', ARGV[3])
touch(ctx, ARGV[2])
-- With fewer permits an offer may have to step back although nobody has arrived.
ctx.thorough = true
settle_lines(ctx)
commit(ctx)
return { 'ok', ARGV[3] }
