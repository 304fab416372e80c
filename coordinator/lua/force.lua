-- Takes a held lock or a running job away from its holder: the lock is lost, the job goes back to its place.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] fence that the operator saw, or empty for the newest
-- ARGV[4] reason
-- ARGV[5] id of this call
-- ARGV[6] who does it
-- reply: ok <state>
-- reply: refused <state>
-- reply: gone
-- Keeps: the holder is told, and everything it still tries is refused by its fence; a repeated call takes nothing
-- from whoever has it next.
--@flags allow-oom
--@include lib/settle_lines
--@include lib/audited
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local r = load(ctx, ARGV[2])
if not r then
  return { 'gone' }
elseif redis.call('HGET', ctx.p .. K_REQ .. r.id, 'forced') == ARGV[5] then
  return { 'ok', r.state }
elseif (r.state ~= 'held' and r.state ~= 'running') or (ARGV[3] ~= '' and ARGV[3] ~= r.fence) then
  return { 'refused', r.state }
end
redis.call('HSET', ctx.p .. K_REQ .. r.id, 'forced', ARGV[5])
-- Whoever has it next gets a larger one than this.
local before, after = r.fence, text(draw(ctx))
local resource, owner = told_of(ctx, r)
audited(ctx, 'force', r.id, ARGV[6], ARGV[4], 'resource', resource, 'owner', owner, 'fence_before', before,
  'fence', after)
lapse(ctx, r, 'forced: ' .. ARGV[4], true)
settle_lines(ctx)
commit(ctx)
-- Its line may have moved it on.
return { 'ok', load(ctx, r.id).state }
