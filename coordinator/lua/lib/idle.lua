--@include lib/context
-- Takes a worker off the idle lists of all its queues, not only of the one it is rung for or leaves: a worker with one
-- free slot that stood on two lists would be rung twice, and the second job would wait for the sweep while others idle.
-- It has left the list of `except` already.
local function no_longer_idle(ctx, session, except)
  local queues = redis.call('HGET', ctx.p .. K_SESSION .. session, 'queues')
  for queue in string.gmatch(queues or '', '%S+') do
    if queue ~= except then
      redis.call('ZREM', ctx.p .. K_IDLE .. queue, session)
    end
  end
end

-- A worker that got less than it asked for is idle: it is noted here, in the script that found nothing, so that no
-- submission can fall between its looking and its waiting.
local function note_idle(ctx, session, queues, idle)
  for _, queue in ipairs(queues) do
    if idle then
      redis.call('ZADD', ctx.p .. K_IDLE .. queue, now_text(ctx), session)
    else
      redis.call('ZREM', ctx.p .. K_IDLE .. queue, session)
    end
  end
end
