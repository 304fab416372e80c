-- Gives a worker up to `wanted` jobs: such as are ready, and where there are no more, spare ones of other workers.
--@include lib/claim_ready
--@include lib/read_queues
--@include lib/rob
--@include lib/idle
-- `roomy`: the worker has slots for more than is wanted; `steals` of the jobs at most may be other workers', and only
-- where there are no others. Returns the jobs, and whether there may be more for it: if not, it is idle now.
local function claim_jobs(ctx, session, wanted, hold_ms, words, roomy, steals)
  local jobs, robbed, queues = {}, false, read_queues(words)
  local behind, others = claim_ready(ctx, jobs, session, wanted, hold_ms, queues, roomy)
  if ctx.spare and #jobs < wanted and steals > 0 and rob(ctx, session, math.min(steals, wanted - #jobs), queues) > 0 then
    behind, others = claim_ready(ctx, jobs, session, wanted, hold_ms, queues, roomy)
    robbed = true
  end
  local more = #jobs == wanted and (not roomy or others or behind or robbed)
  idle.note(ctx, session, queues, not more)
  -- Others may lie behind those that could not be claimed; whoever is idle, this worker too, is rung for them.
  for _, queue in ipairs(#jobs < wanted and behind and queues or {}) do
    ctx.bells[queue] = math.max(ctx.bells[queue] or 0, redis.call('ZCARD', ctx.p .. K_READY .. queue))
  end
  return jobs, more
end
