-- Notes what gates the jobs of handlers have to pass. In `meta` stands whether any of them limits its rate: only then
-- is there something to look at while no breaker has anything to say.
--@include lib/emit
-- As many handlers as a namespace is likely to have. What is told of these counts, however many there are; what comes
-- beyond has no gates, and an event says so, once until there is room again.
local MAX_HANDLERS, SLICE = 10000, 1000

-- Of the pairs from `at` on, as many as one command takes. How many more names there is room for, and how many had none.
local function declare_some(ctx, gates, at, room)
  local key, names, words, told, beyond = ctx.p .. K_GATES, {}, {}, {}, 0
  for i = at, math.min(at + 2 * SLICE, #gates) - 1, 2 do
    names[#names + 1] = gates[i]
  end
  for n, known in ipairs(redis.call('HMGET', key, unpack(names))) do
    if known or room > 0 then
      room = known and room or room - 1
      words[#words + 1], words[#words + 2] = names[n], gates[at + 2 * n - 1]
      told[#told + 1], told[#told + 2] = text(ctx.now), names[n]
    else
      beyond = beyond + 1
    end
  end
  if words[1] then
    redis.call('HSET', key, unpack(words))
    redis.call('ZADD', ctx.p .. K_TOLD, unpack(told))
  end
  return room, beyond
end

local function note_limits(ctx)
  for _, told in ipairs(redis.call('HVALS', ctx.p .. K_GATES)) do
    if string.find(' ' .. told, ' rate/[^ :]+:') or string.find(' ' .. told, ' adaptive/', 1, true) then
      redis.call('HSET', ctx.meta, 'limits', 1)
      return
    end
  end
  redis.call('HDEL', ctx.meta, 'limits')
end

local function declare(ctx, gates, session)
  if #gates == 0 then
    return
  end
  local beyond, some = 0
  local room = MAX_HANDLERS - redis.call('HLEN', ctx.p .. K_GATES)
  for at = 1, #gates, 2 * SLICE do
    room, some = declare_some(ctx, gates, at, room)
    beyond = beyond + some
  end
  if beyond > 0 and redis.call('HSETNX', ctx.meta, 'gates_full', 1) == 1 then
    emit(ctx, 'gates_full', session, 'handlers', text(beyond), 'most', text(MAX_HANDLERS))
  end
  note_limits(ctx)
end
