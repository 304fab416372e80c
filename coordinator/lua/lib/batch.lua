-- The last batch a worker was given, under the number of its claim: `<number> <id> <id> ...`. A claim with a smaller
-- number was overtaken on another connection: nobody waits for its answer, so it is given nothing.
--@include lib/hand_out
local function recall(ctx, session, number)
  local batch = redis.call('GET', ctx.p .. K_BATCH .. session)
  local last = batch and string.match(batch, '^(%d+)')
  if not last or tonumber(last) < tonumber(number) then
    return nil
  end
  local jobs = {}
  if last ~= number then
    return jobs
  end
  for id in string.gmatch(batch, ' (%S+)') do
    local r = load(ctx, id)
    if r and r.state == 'running' and r.session == session then
      jobs[#jobs + 1] = describe(ctx, r)
    end
  end
  return jobs
end

local function remember(ctx, session, number, jobs)
  local words = { number }
  for _, job in ipairs(jobs) do
    words[#words + 1] = job[1]
  end
  redis.call('SET', ctx.p .. K_BATCH .. session, table.concat(words, ' '))
end
