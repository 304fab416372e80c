-- Takes a worker off the idle lists of all its queues, not only of the one it is rung for or leaves: a worker with one
-- free slot that stood on two lists would be rung twice, and the second job would wait for the sweep while others idle.
local function no_longer_idle(ctx, session)
  local queues = redis.call('HGET', ctx.p .. K_SESSION .. session, 'queues')
  for queue in string.gmatch(queues or '', '%S+') do
    redis.call('ZREM', ctx.p .. K_IDLE .. queue, session)
  end
end
