-- One resource in detail: who holds it, and its line from the head.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] resource
-- ARGV[3] how many waiters to name
-- reply: ok <now ms> <capacity> <line length> [<person>]... [<person>]... [[<resource> [<holder>...] [<person>...]]...] [<field> <value>...]
-- The last are the fields of what was defined.
-- Keeps: nothing is written, and each call does bounded work.
--@flags no-writes
--@include lib/context
--@include lib/usage
--@include lib/person
--@include lib/overlap
local ctx = open(KEYS[1], ARGV[1])
local resource, most = ARGV[2], tonumber(ARGV[3])
local line = ctx.p .. K_LINE .. resource
return { 'ok', text(ctx.now), capacity(ctx, resource), redis.call('ZCARD', line), holders_of(ctx, resource, most),
  persons(ctx, redis.call('ZRANGE', line, 0, most - 1), resource),
  beside.neighbours(ctx, { resource = resource, mode = 'x' }, '-inf', most),
  redis.call('HGETALL', ctx.p .. K_DEF .. resource) }
