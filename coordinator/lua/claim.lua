-- Gives a worker a batch of jobs that can run now, with the resources they need.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] number of this claim, counted by the worker
-- ARGV[4] how many jobs
-- ARGV[5] longest hold of a resource in ms
-- ARGV[6] 1 if the worker has slots for more than it asks for, else 0
-- ARGV[7] how many of the jobs may be taken from workers that cannot begin them
-- ARGV[8...] queues
-- reply: ok [<job>]...
-- reply: more [<job>]...
-- reply: session_lost
-- `more`: it has slots for more than it asked for, and there may be other jobs, so it is not noted as idle, and is not
-- rung until it has claimed again.
-- Keeps: a repeated claim (its reply was lost) hands out the same batch again, not another one. It renews no session: it
-- may have lain here since long before its process was last heard of.
--@flags allow-oom
--@include lib/claim_alone
--@include lib/claim_jobs
--@include lib/batch
--@include lib/commit
local m, us = read_meta(KEYS[1])
local alone = claim_alone(KEYS[1], m, us, ARGV)
if alone then
  return alone
end
local ctx = open(KEYS[1], ARGV[1], m, us)
local session = ARGV[2]
if not live(ctx, session) then
  return { 'session_lost' }
end
local roomy = ARGV[6] == '1'
local jobs, more = recall(ctx, session, ARGV[3]), roomy
if not jobs then
  if pass_due(ctx) > 0 then
    settle_lines(ctx)
  end
  jobs, more = claim_jobs(ctx, session, tonumber(ARGV[4]), tonumber(ARGV[5]), { unpack(ARGV, 8) }, roomy,
    tonumber(ARGV[7]))
  remember(ctx, session, ARGV[3], jobs)
  write_gates(ctx)
  commit(ctx)
end
if roomy and more then
  return { 'more', unpack(jobs) }
end
return { 'ok', unpack(jobs) }
