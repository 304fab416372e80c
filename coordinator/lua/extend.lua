-- Moves the end of a held lock's lease to so many ms from now, but not beyond the longest hold that was defined.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] fence
-- ARGV[4] lease in ms from now, above 0
-- reply: ok <lease in ms from now>
-- reply: lost <state>
-- reply: gone
-- Keeps: what has lapsed is not extended.
--@flags allow-oom
--@include lib/places
--@include lib/send
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local r = load(ctx, ARGV[2])
if not r or r.kind ~= 'lock' then
  return { 'gone' }
end
local ends = tonumber(redis.call('ZSCORE', ctx.p .. K_DEADLINES, r.id) or 0)
if r.state ~= 'held' or r.fence ~= ARGV[3] or ends <= ctx.now or not live(ctx, r.session) then
  return { 'lost', r.state }
end
local longest = tonumber(r.since) + defined.held_for(ctx, r, math.huge)
-- What was defined since takes nothing back.
local expires = math.min(ctx.now + tonumber(ARGV[4]), math.max(ends, longest))
local lease = text(expires - ctx.now)
take(ctx, r, r.session, r.fence, expires)
redis.call('ZADD', ctx.p .. K_DEADLINES, text(expires), r.id)
redis.call('HSET', ctx.p .. K_REQ .. r.id, 'expires', text(expires), 'hold_ms', lease)
commit(ctx)
return { 'ok', lease }
