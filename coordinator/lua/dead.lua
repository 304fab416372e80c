-- Names failed and dead jobs, those that ended first in front.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] how many to leave out at the front
-- ARGV[3] how many
-- ARGV[4] only those that ended until this ms, or empty for all
-- reply: ok <now ms> <how many there are> [<job>]... ; job: [id, state, name, queue, ended ms, attempts, why, owner, reason]
-- Keeps: nothing is written, and each call does bounded work.
--@flags no-writes
--@include lib/context
local ctx = open(KEYS[1], ARGV[1])
local jobs, until_ms = {}, ARGV[4] == '' and '+inf' or ARGV[4]
local key = ctx.p .. K_DEAD
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', until_ms, 'LIMIT', ARGV[2], ARGV[3])) do
  local v = redis.call('HMGET', ctx.p .. K_REQ .. id, 'state', 'name', 'queue', 'ended', 'attempts', 'why')
  local note = redis.call('HMGET', ctx.p .. K_NOTE .. id, 'owner', 'reason')
  jobs[#jobs + 1] = { id, v[1] or '', v[2] or '', v[3] or '', v[4] or '', v[5] or '0', v[6] or '', note[1] or '',
    note[2] or '' }
end
return { 'ok', text(ctx.now), redis.call('ZCOUNT', key, '-inf', until_ms), jobs }
