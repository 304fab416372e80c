-- Gives a lock back in favour of somebody who waits, who is the first in all its lines then.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] fence
-- ARGV[4] id of the request that is to follow
-- ARGV[5] who does it
-- ARGV[6] reason
-- ARGV[7] id of this call
-- reply: ok <state of the one that follows>
-- reply: lost <state>
-- reply: unfit <state of the one that is to follow, or lapsed, or empty>
-- reply: barred <resource that is frozen or delayed> <until ms> <why>
-- reply: gone
-- Keeps: only the holder of the newest fence can give it; nobody else gets it in between; a repeated call answers as the
-- first did.
--@flags allow-oom
--@include lib/settle_lines
--@include lib/reorder
--@include lib/hand
--@include lib/heir
--@include lib/audited
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local r, heir = load(ctx, ARGV[2]), load(ctx, ARGV[4])
if not r or r.kind ~= 'lock' then
  return { 'gone' }
elseif r.fence ~= ARGV[3] then
  return { 'lost', r.state }
elseif r.state == 'released' and redis.call('HGET', ctx.p .. K_REQ .. r.id, 'given') == ARGV[7] then
  return { 'ok', heir and heir.state or '' }
elseif r.state ~= 'held' then
  return { 'lost', r.state }
end
local refusal = unfit(ctx, r, heir)
if refusal then
  return refusal
end
redis.call('HSET', ctx.p .. K_REQ .. r.id, 'given', ARGV[7])
put_at(ctx, heir, places_at_end(ctx, heir, true))
finish(ctx, r, 'release')
settle_lines(ctx)
heir = load(ctx, heir.id)
local resource, owner = told_of(ctx, r)
local _, to_owner = told_of(ctx, heir)
audited(ctx, 'hand_over', r.id, ARGV[5], ARGV[6], 'resource', resource, 'owner', owner, 'to', heir.id,
  'to_owner', to_owner, 'fence_before', ARGV[3], 'fence', heir.state == 'held' and heir.fence or '')
commit(ctx)
return { 'ok', heir.state }
