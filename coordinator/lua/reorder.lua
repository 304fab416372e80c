-- Gives a request that waits another place in its lines, or in its queue.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] front | back | before
-- ARGV[4] id of the request before which it is to stand, or empty
-- ARGV[5] who does it
-- ARGV[6] reason
-- ARGV[7] id of this call
-- reply: ok <state>
-- reply: refused <state>
-- reply: crowded <id of the other>
-- reply: gone <id>
-- Keeps: the order of everybody else; a repeated call moves it once.
--@include lib/settle_lines
--@include lib/reorder
--@include lib/hand
--@include lib/audited
--@include lib/commit
local function waits(r)
  return r.state == 'waiting' or r.state == 'ready'
end

local ctx = open(KEYS[1], ARGV[1])
local r = load(ctx, ARGV[2])
local other = ARGV[3] == 'before' and load(ctx, ARGV[4])
if not r then
  return { 'gone', ARGV[2] }
elseif redis.call('HGET', ctx.p .. K_REQ .. r.id, 'moved') == ARGV[7] then
  return { 'ok', r.state }
elseif not waits(r) then
  return { 'refused', r.state }
elseif ARGV[3] == 'before' and (not other or not waits(other) or other.id == r.id) then
  return { 'gone', ARGV[4] }
end
local places
if other then
  places = places_before(ctx, r, other)
else
  places = places_at_end(ctx, r, ARGV[3] == 'front')
end
if not places then
  return { 'crowded', other.id }
end
redis.call('HSET', ctx.p .. K_REQ .. r.id, 'moved', ARGV[7])
local resource, owner = told_of(ctx, r)
audited(ctx, 'reorder', r.id, ARGV[5], ARGV[6], 'place', ARGV[3], 'other', ARGV[4], 'resource', resource,
  'owner', owner, 'fence', r.fence or '')
put_at(ctx, r, places)
settle_lines(ctx)
commit(ctx)
return { 'ok', load(ctx, r.id).state }
