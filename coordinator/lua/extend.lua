-- Moves the end of a held lock's lease to so many ms from now.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] fence
-- ARGV[4] lease in ms from now, above 0
-- reply: ok <lease in ms>
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
local expires = ctx.now + tonumber(ARGV[4])
take(ctx, r, r.session, r.fence, expires)
redis.call('ZADD', ctx.p .. K_DEADLINES, text(expires), r.id)
redis.call('HSET', ctx.p .. K_REQ .. r.id, 'expires', text(expires), 'hold_ms', ARGV[4])
commit(ctx)
return { 'ok', ARGV[4] }
