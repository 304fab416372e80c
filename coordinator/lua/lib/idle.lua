-- Workers that have found nothing, by queue, and the bells that wake them.
--@include lib/context
--@include lib/send
local idle = {}
-- At most this many are woken by one script: waking more than there are jobs wins nothing.
local MAX_BELLS = 16

-- Takes a worker off the idle lists of all its queues, not only of the one it is rung for or leaves: a worker with one
-- free slot that stood on two lists would be rung twice, and the second job would wait for the sweep while others idle.
-- It has left the list of `except` already.
function idle.leave(ctx, session, except)
  local queues = redis.call('HGET', ctx.p .. K_SESSION .. session, 'queues')
  for queue in string.gmatch(queues or '', '%S+') do
    if queue ~= except then
      redis.call('ZREM', ctx.p .. K_IDLE .. queue, session)
    end
  end
end

-- A worker that got less than it asked for is idle: it is noted here, in the script that found nothing, so that no
-- submission can fall between its looking and its waiting.
function idle.note(ctx, session, queues, is_idle)
  for _, queue in ipairs(queues) do
    if is_idle then
      redis.call('ZADD', ctx.p .. K_IDLE .. queue, now_text(ctx), session)
    else
      redis.call('ZREM', ctx.p .. K_IDLE .. queue, session)
    end
  end
end

-- Wakes live idle workers of a queue, the longest idle first; each is rung once until it claims again.
function idle.ring(ctx, queue, wanted)
  for _ = 1, MAX_BELLS do
    local session = wanted > 0 and redis.call('ZPOPMIN', ctx.p .. K_IDLE .. queue)[1]
    if not session then
      return
    elseif live(ctx, session) then
      idle.leave(ctx, session, queue)
      send(ctx, session, 'bell ' .. queue)
      wanted = wanted - 1
    end
  end
end
