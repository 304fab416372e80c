-- Gives a request that is not running another priority, and its new place in all its lines.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] priority
-- reply: ok <priority>
-- reply: refused <state>
-- reply: gone
-- Keeps: its time of arrival, and the order of everybody else; a repeated call answers as the first did, which may have
-- got it what it waits for.
--@include lib/settle_lines
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
local before = r.priority
r.priority = tonumber(ARGV[3])
redis.call('HSET', ctx.p .. K_REQ .. r.id, 'priority', r.priority)
-- It is no longer the choice of a rule.
redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'rule')
emit(ctx, 'reprioritise', r.id, 'priority', r.priority)
if r.state == 'ready' and r.needs and r.priority < before then
  -- It may fall behind several who cannot go yet, where `promote` does not look for offers; it is offered anew.
  withdraw(ctx, r)
end
local rank = rank_of(ctx, r)
if r.state == 'ready' then
  redis.call('ZADD', ctx.p .. K_READY .. r.queue, rank, r.id)
elseif r.state == 'waiting' and r.kind == 'job' then
  redis.call('ZADD', ctx.p .. K_WAITING .. r.queue, rank, r.id)
end
if r.gate then
  redis.call('ZADD', ctx.p .. K_GATED .. r.gate .. ':' .. r.queue, rank, r.id)
elseif r.state ~= 'scheduled' and r.needs then
  join_lines(ctx, r)
end
settle_lines(ctx)
commit(ctx)
return { 'ok', r.priority }
