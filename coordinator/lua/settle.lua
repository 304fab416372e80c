-- Takes a worker's outcomes and gives it its next batch, in one round trip.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] number of this claim, or 0 to claim nothing
-- ARGV[4] how many jobs to claim
-- ARGV[5] longest hold of a resource in ms
-- ARGV[6] how many of the jobs may be taken from workers that cannot begin them
-- ARGV[7] how many queues follow, then the queues
-- ARGV[8...] per outcome: id, fence, outcome, delay in ms, result or reason; `failed-` and `retry-` are failures that no
-- breaker counts, `limited` closes the limits of the job for its delay, and `@` with a level ends what ran out of time
-- reply: ok [[<status> <detail>]...] [[<job>]...]
-- reply: session_lost
-- status: ok <new fence if the job is to run again at once, else empty>
-- status: stale <state>
-- status: gone <empty>
-- Keeps: one report per fence counts; a repeated call answers as the first did.
--@flags allow-oom
--@include lib/settle_lines
--@include lib/settle_job
--@include lib/claim_jobs
--@include lib/batch
--@include lib/owner
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local session, number, count = ARGV[2], ARGV[3], tonumber(ARGV[7])
if not live(ctx, session) then
  return { 'session_lost' }
end
refresh(ctx, session)
local settled, jobs = {}, {}
for at = 8 + count, #ARGV, 5 do
  settled[#settled + 1] = settle_job(ctx, session, ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3]),
    ARGV[at + 4])
end
note_successes(ctx)
pass_due(ctx)
settle_lines(ctx)
if number ~= '0' then
  jobs = recall(ctx, session, number)
  if not jobs then
    jobs = claim_jobs(ctx, session, tonumber(ARGV[4]), tonumber(ARGV[5]), { unpack(ARGV, 8, 7 + count) }, false,
      tonumber(ARGV[6]))
    remember(ctx, session, number, jobs)
  end
end
write_gates(ctx)
commit(ctx)
return { 'ok', settled, jobs }
