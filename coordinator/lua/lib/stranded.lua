-- Jobs that lie although somebody could have them.
local MAX_QUEUES = 64

-- A worker that was rung and died before it claimed must not leave a job lying: ready jobs and idle workers of one
-- queue are brought together again. Where there are very many queues each sweep looks at some of them, chosen by chance.
local function ring_stranded(ctx)
  local queues, spare = redis.call('SRANDMEMBER', ctx.p .. K_QUEUES, MAX_QUEUES), 0
  for _, queue in ipairs(queues) do
    local ready = redis.call('ZCARD', ctx.p .. K_READY .. queue)
    local more = ctx.spare and redis.call('ZCARD', ctx.p .. K_SPARE .. queue) or 0
    if ready + more > 0 then
      ctx.bells[queue] = ready + more
    end
    spare = spare + more
  end
  if ctx.spare and spare == 0 and #queues < MAX_QUEUES then
    redis.call('HDEL', ctx.meta, 'spare')
  end
end
