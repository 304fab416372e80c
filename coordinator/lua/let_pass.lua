-- Lets a request that waits have what is frozen, before everybody who waits with it.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] who does it
-- ARGV[4] reason
-- ARGV[5] id of this call
-- reply: ok <state>
-- reply: refused <state>
-- reply: gone
-- Keeps: it still waits for those who hold; a repeated call moves it once.
--@include lib/settle_lines
--@include lib/reorder
--@include lib/hand
--@include lib/audited
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local r = load(ctx, ARGV[2])
if not r then
  return { 'gone' }
elseif r.passes == ARGV[5] then
  return { 'ok', r.state }
elseif r.state ~= 'waiting' and r.state ~= 'ready' then
  return { 'refused', r.state }
end
r.passes = ARGV[5]
redis.call('HSET', ctx.p .. K_REQ .. r.id, 'passes', ARGV[5])
local resource, owner = told_of(ctx, r)
audited(ctx, 'let_pass', r.id, ARGV[3], ARGV[4], 'resource', resource, 'owner', owner, 'fence', r.fence or '')
put_at(ctx, r, places_at_end(ctx, r, true))
settle_lines(ctx)
commit(ctx)
return { 'ok', load(ctx, r.id).state }
