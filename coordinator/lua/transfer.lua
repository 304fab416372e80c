-- Takes a held lock or a running job away from its holder for somebody who waits, who is the first in all its lines then.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] id of the request that holds
-- ARGV[3] fence that the operator saw, or empty for the newest
-- ARGV[4] id of the request that is to follow
-- ARGV[5] who does it
-- ARGV[6] reason
-- ARGV[7] id of this call
-- ARGV[8] transfer | steal: as what it is on record
-- reply: ok <state of the one that follows>
-- reply: refused <state of the holder>
-- reply: unfit <state of the one that is to follow, or lapsed, or empty>
-- reply: barred <resource that is frozen or delayed> <until ms> <why>
-- reply: gone
-- Keeps: nobody else gets it in between; the old holder's fence is refused from now on; a repeated call takes nothing
-- from whoever has it next.
--@flags allow-oom
--@include lib/settle_lines
--@include lib/reorder
--@include lib/hand
--@include lib/heir
--@include lib/audited
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local r, heir = load(ctx, ARGV[2]), load(ctx, ARGV[4])
if not r then
  return { 'gone' }
elseif redis.call('HGET', ctx.p .. K_REQ .. r.id, 'forced') == ARGV[7] then
  return { 'ok', heir and heir.state or '' }
elseif (r.state ~= 'held' and r.state ~= 'running') or (ARGV[3] ~= '' and ARGV[3] ~= r.fence) then
  return { 'refused', r.state }
end
local refusal = unfit(ctx, r, heir)
if refusal then
  return refusal
end
local before = r.fence
redis.call('HSET', ctx.p .. K_REQ .. r.id, 'forced', ARGV[7])
-- Before the job, too, that goes back to its place.
local places = places_at_end(ctx, heir, true)
places.rank = math.min(places.rank, rank_number(ctx, r) - 1)
put_at(ctx, heir, places)
lapse(ctx, r, (ARGV[8] == 'steal' and 'stolen: ' or 'transferred: ') .. ARGV[6], true)
settle_lines(ctx)
heir = load(ctx, heir.id)
local resource, owner = told_of(ctx, r)
local _, to_owner = told_of(ctx, heir)
audited(ctx, ARGV[8], r.id, ARGV[5], ARGV[6], 'resource', resource, 'owner', owner, 'to', heir.id,
  'to_owner', to_owner, 'fence_before', before, 'fence', heir.state == 'held' and heir.fence or text(draw(ctx)))
commit(ctx)
return { 'ok', heir.state }
