-- Gives a request that is not running another priority, and its new place in all its lines.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] priority
-- ARGV[4] who does it, if it goes on record
-- ARGV[5] reason
-- reply: ok <priority>
-- reply: refused <state>
-- reply: gone
-- Keeps: its time of arrival, and the order of everybody else; a repeated call answers as the first did, which may have
-- got it what it waits for.
--@include lib/settle_lines
--@include lib/reorder
--@include lib/preempt
--@include lib/audited
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local r = load(ctx, ARGV[2])
if not r then
  return { 'gone' }
elseif (r.state == 'held' or r.state == 'running') and r.priority == tonumber(ARGV[3]) then
  return { 'ok', r.priority }
elseif r.state ~= 'waiting' and r.state ~= 'ready' and r.state ~= 'scheduled' then
  return { 'refused', r.state }
end
if ARGV[4] ~= '' and r.priority ~= tonumber(ARGV[3]) then
  local resource, owner = told_of(ctx, r)
  audited(ctx, 'reprioritise', r.id, ARGV[4], ARGV[5], 'resource', resource, 'owner', owner, 'was', text(r.priority),
    'priority', ARGV[3])
end
local before = tonumber(rank_of(ctx, r))
r.priority = tonumber(ARGV[3])
redis.call('HSET', ctx.p .. K_REQ .. r.id, 'priority', r.priority)
-- It is no longer the choice of a rule, and a place that was given by hand is given up.
redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'rule')
defined.give_up_hand(ctx, r)
emit(ctx, 'reprioritise', r.id, 'priority', r.priority)
take_place(ctx, r, tonumber(rank_of(ctx, r)) > before)
settle_lines(ctx)
preempt.ask(ctx, r.preempt and load(ctx, r.id))
commit(ctx)
return { 'ok', r.priority }
