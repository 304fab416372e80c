-- Queues a failed or dead job again, with its payload as it was and its counts at zero.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] id of this call
-- reply: ok <state>
-- reply: refused <state>
-- reply: queue_full <queue> <limit>
-- reply: gone
-- Keeps: a repeated call replays once.
--@include lib/settle_lines
--@include lib/dedup
--@include lib/enqueue
--@include lib/payload
--@include lib/room
--@include lib/by_owner
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local r = load(ctx, ARGV[2])
if not r or r.kind ~= 'job' then
  return { 'gone' }
end
local key = ctx.p .. K_REQ .. r.id
if redis.call('HGET', key, 'replayed') == ARGV[3] then
  return { 'ok', r.state }
elseif not next_state(r.state, 'replay') then
  return { 'refused', r.state }
elseif not payload_of(ctx, r) then
  return { 'gone' }
end
local full = queue_full(ctx, r)
if full then
  return full
end
r.stamp, r.crashes, r.wait_by, r.end_by = draw(ctx), 0, nil, nil
defined.give_up_hand(ctx, r)
move(ctx, r, 'replay', 'stamp', text(r.stamp), 'replayed', ARGV[3])
redis.call('HDEL', key, 'ended', 'why', 'attempts', 'crashes', 'unsure', 'deliveries', 'wait_by', 'end_by', 'session', 'since',
  'started', 'cancel', 'progress', 'watched', 'gate', 'gated', 'stolen', 'learnt',
  'shrunk', 'excused')
for _, kept in ipairs({ key, ctx.p .. K_NEEDS .. r.id, ctx.p .. K_NOTE .. r.id }) do
  redis.call('PERSIST', kept)
end
redis.call('ZREM', ctx.p .. K_DEAD, r.id)
local place = owner_place(ctx, r)
if place then
  redis.call('ZADD', ctx.p .. place, 0, r.id)
end
if r.dedup and r.scope ~= 'ttl' and not dedup_owner(ctx, r.dedup) then
  claim_key(ctx, r)
end
enqueue(ctx, r)
settle_lines(ctx)
commit(ctx)
-- Its line may have moved it on.
return { 'ok', load(ctx, r.id).state }
