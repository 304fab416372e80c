-- Offers jobs that a worker has claimed and cannot begin to whoever is idle.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] number of this call, counted by the worker together with those of `retain`
-- ARGV[4] stuck if the worker could not even hear a bell, else busy
-- ARGV[5] number of a claim of which the worker has not seen what it brought, or 0
-- ARGV[6] how many of its jobs stand before these and are not on offer
-- ARGV[7...] id and fence pairs, those in front that would be begun first
-- reply: ok <jobs that are on offer>
-- reply: overtaken
-- reply: session_lost
-- Keeps: only what is the session's own and has not begun is offered. A claim that was not carried out yet brings nothing
-- any more, or its jobs would come to a worker that cannot begin them. What keeps a more urgent request from its resources
-- gives way at once.
--@flags allow-oom
--@include lib/settle_lines
--@include lib/in_turn
--@include lib/batch
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local session, number, stuck, claim = ARGV[2], tonumber(ARGV[3]), ARGV[4] == 'stuck', ARGV[5]
if not live(ctx, session) then
  return { 'session_lost' }
elseif not in_turn(ctx, session, number) then
  return { 'overtaken' }
end
local place, offered = tonumber(ARGV[6]), 0

local function put_up(id, fence)
  local r = load(ctx, id)
  if not r or r.state ~= 'running' or r.session ~= session or r.fence ~= fence or r.started then
    return
  end
  if not ctx.spare then
    ctx.spare = '1'
    redis.call('HSET', ctx.meta, 'spare', ctx.spare)
  end
  place, offered = place + 1, offered + 1
  redis.call('ZADD', ctx.p .. K_SPARE .. r.queue, place, id)
  redis.call('HSET', ctx.p .. K_REQ .. id, 'spare', place .. ' ' .. text(ctx.now))
  ctx.bells[r.queue] = (ctx.bells[r.queue] or 0) + 1
  for _, need in ipairs(needs_of(ctx, r)) do
    touch(ctx, need.resource)
  end
end

for i = 7, #ARGV, 2 do
  put_up(ARGV[i], ARGV[i + 1])
end
if claim ~= '0' then
  local unseen = recall(ctx, session, claim)
  if not unseen then
    remember(ctx, session, claim, {})
  end
  for _, job in ipairs(unseen or {}) do
    put_up(job[1], job[2])
  end
end
settle_lines(ctx)
-- It must not be rung for its own jobs.
local stood = {}
for queue in string.gmatch(redis.call('HGET', ctx.p .. K_SESSION .. session, 'queues') or '', '%S+') do
  if redis.call('ZREM', ctx.p .. K_IDLE .. queue, session) == 1 then
    stood[#stood + 1] = queue
  end
end
commit(ctx)
if not stuck then
  idle.note(ctx, session, stood, true)
end
return { 'ok', offered }
