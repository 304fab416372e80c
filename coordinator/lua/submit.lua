-- Accepts jobs, each judged by itself: into its queue, into its lines, or into the schedule.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] largest payload in bytes
-- ARGV[3...] per job: id, name, queue, priority, payload, how many option words follow, option name and value pairs
-- reply: ok [<number of the job in the call, from 0> <status> <id> <detail>]... ; a job that is not named is in
-- status: duplicate <id of the one that is there> <joined | replaced>
-- status: rejected <id of the one that is there> <state>
-- status: queue_full <queue> <limit>
-- status: overloaded <queue> <jobs> <limit> <below so many it is let in> <ms that the middle one has waited> <place it would have>
-- status: breaker_open <gate> <ms that it is still open>
-- status: memory_full <bytes used> <ceiling> <below so many it is let in>
-- status: line_overloaded <resource> <waiters> <limit> <below so many it is let in> <ms that the middle one has waited> <place it would have>
-- status: line_full <resource> <limit>
-- status: over_capacity <resource> <capacity>
-- status: too_large <bytes> <limit>
-- status: conflict <id> <state>
-- Keeps: a refused job writes nothing; a repeated one answers as the first time.
--@include lib/settle_lines
--@include lib/submit_job
--@include lib/submit_plain
--@include lib/submit_alone
--@include lib/preempt
--@include lib/commit
local m, us = read_meta(KEYS[1])
local alone = submit_alone(KEYS[1], m, us, ARGV)
if alone then
  return alone
end
local ctx = open(KEYS[1], ARGV[1], m, us)
local max_payload = tonumber(ARGV[2])
local function stride(at)
  return 6 + tonumber(ARGV[at + 5])
end

-- Of most calls nothing is there yet, which one command tells of all their jobs.
local function look_for_all()
  local keys, fresh, at = {}, {}, 3
  while at <= #ARGV do
    fresh[ARGV[at]] = true
    keys[#keys + 1] = ctx.p .. K_REQ .. ARGV[at]
    at = at + stride(at)
  end
  ctx.fresh = keys[1] and redis.call('EXISTS', unpack(keys)) == 0 and fresh or {}
end

look_for_all()
ctx.offers = {}
local reply, preempting, at, number = { 'ok' }, {}, 3, 0
while at <= #ARGV do
  local options = tonumber(ARGV[at + 5])
  local following = at + 6 + options
  local job = { id = ARGV[at], name = ARGV[at + 1], queue = ARGV[at + 2], priority = tonumber(ARGV[at + 3]),
    payload = ARGV[at + 4] }
  for word = at + 6, following - 1, 2 do
    job[ARGV[word]] = ARGV[word + 1]
  end
  at = following
  local answer
  if #job.payload > max_payload then
    answer = { 'too_large', #job.payload, max_payload }
  elseif is_plain(ctx, job, options) then
    answer = submit_plain(ctx, job)
  else
    ctx.way = nil
    answer = submit_job(ctx, job)
  end
  if answer then
    table.insert(answer, 1, number)
    reply[#reply + 1] = answer
  elseif job.preempt then
    preempting[#preempting + 1] = job.id
  end
  number = number + 1
end
write_offers(ctx)
ctx.offers = nil
ctx.wrote = ctx.wrote or ctx.leftover
settle_lines(ctx)
for _, id in ipairs(preempting) do
  preempt.ask(ctx, load(ctx, id))
end
watch_memory(ctx, not ctx.wrote and 'refused')
if ctx.wrote then
  commit(ctx)
end
return reply
