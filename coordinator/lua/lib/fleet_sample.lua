-- What is known to the server alone, as a sample of its own: how often each event has happened since the last one, and
-- how queues and sessions stand. Bounded: where there are very many queues some of them are looked at, chosen by chance.
--@include lib/context
--@include lib/overload
local MAX_SAMPLED, MAX_CLOCKS_SEEN = 32, 256
local SIZES = { { 'fleet.scheduled', K_SCHEDULED }, { 'fleet.dead', K_DEAD }, { 'fleet.sessions', K_SESSIONS },
  { 'fleet.resources', K_RESOURCES } }

-- Counters that are measures of their own, and not events of requests.
local MEASURES = { breaker_open = 'breaker.opened', breaker_close = 'breaker.closed', probe = 'breaker.probed',
  held_by_breaker = 'breaker.held_back', held_by_limit = 'rate.limited', pace = 'rate.adjusted',
  lengthened = 'timeout.escalated', postponed = 'retry.postponed', excused = 'retry.excused' }

-- A time or a count as it was kept; 0 for what is neither, so that it cannot stop the measuring for good.
local function past(ctx, kept)
  local number = tonumber(kept or nil)
  return number and number >= 0 and number <= ctx.now + 86400000 and number or 0
end

local function say(words, field, value)
  words[#words + 1], words[#words + 2] = field, value
end

-- The counters only grow, so nothing is lost when a sample is; what was there before the first one is not news.
local function happened(ctx, words)
  local was, now = {}, {}
  local known = redis.call('HGETALL', ctx.p .. K_PULSE)
  for i = 1, #known, 2 do
    was[known[i]] = known[i + 1]
  end
  local counters = redis.call('HGETALL', ctx.p .. K_STATS)
  for i = 1, #counters, 2 do
    local field = 'was:' .. counters[i]
    local more = (tonumber(counters[i + 1]) or 0) - (tonumber(was[field] or nil) or 0)
    if more ~= 0 then
      say(now, field, counters[i + 1])
      if was.at and more > 0 then
        say(words, MEASURES[counters[i]] or 'fleet.did:' .. counters[i], text(more))
      end
    end
  end
  return now, was.at and past(ctx, was.at)
end

-- How long the job in front of a queue has been there, in microseconds.
local function head_age(ctx, queue)
  local head = redis.call('ZRANGE', ctx.p .. K_READY .. queue, 0, 0)[1]
  local stamp = head and redis.call('HGET', ctx.p .. K_REQ .. head, 'stamp')
  return math.max(0, ctx.us - (tonumber(stamp or nil) or ctx.us))
end

-- Breakers that are not closed have a clock, and a limit is told of by the workers. All others are closed, and of very
-- many limits some are told.
local function gates_now(ctx, words)
  if redis.call('EXISTS', ctx.p .. K_GATES) == 0 then
    return
  end
  say(words, 'breaker.state', '0')
  for _, clock in ipairs(redis.call('ZRANGE', ctx.p .. K_CLOCKS, 0, MAX_CLOCKS_SEEN - 1)) do
    local name = string.match(clock, '^ breaker/(.+)$')
    local state = name and redis.call('HGET', ctx.p .. K_GATE .. 'breaker/' .. name, 'state')
    if state then
      say(words, 'breaker.state:' .. name, state == 'open' and '2' or '1')
    end
  end
  local told = redis.call('HRANDFIELD', ctx.p .. K_GATES, MAX_SAMPLED, 'WITHVALUES')
  for i = 2, #told, 2 do
    for name, rate in string.gmatch(told[i], 'rate/([^:~%s]+):%d+:(%d+)') do
      say(words, 'rate.limit:' .. name, string.format('%.6g', tonumber(rate) / 1000))
    end
    for name, first in string.gmatch(told[i], 'adaptive/([^:~%s]+):(%d+):') do
      local pace = redis.call('HGET', ctx.p .. K_GATE .. 'adaptive/' .. name, 'pace')
      say(words, 'rate.limit:' .. name, string.format('%.6g', tonumber(pace or nil) or tonumber(first) / 1000))
    end
  end
end

local function fleet_sample(ctx, id, interval, most)
  local words, oldest, level = { 'process', 'fleet', 'kind', 'fleet', 'number', text(ctx.now) }, 0,
    tonumber(string.match(ctx.memory_mark or '', '^[1-3]')) or 0
  local now, since = happened(ctx, words)
  say(words, 'ms', text(since and math.max(1, ctx.now - since) or interval))
  for _, queue in ipairs(redis.call('SRANDMEMBER', ctx.p .. K_QUEUES, MAX_SAMPLED)) do
    local ready = redis.call('ZCARD', ctx.p .. K_READY .. queue)
    local waiting = redis.call('ZCARD', ctx.p .. K_WAITING .. queue)
    say(words, 'fleet.depth:' .. queue, text(ready + waiting))
    say(words, 'fleet.ready:' .. queue, text(ready))
    say(words, 'fleet.waiting:' .. queue, text(waiting))
    oldest = math.max(oldest, head_age(ctx, queue))
    -- What is kept is the level of when the last job was let in. The queue may have emptied since.
    local before = ctx.shed and past(ctx, redis.call('HGET', ctx.p .. K_SHEDDING, queue)) or 0
    level = math.max(level, before > 0 and ctx.bands and level_of(ctx, before, ready + waiting) or 0)
  end
  for _, one in ipairs(SIZES) do
    say(words, one[1], text(redis.call('ZCARD', ctx.p .. one[2])))
  end
  say(words, 'shed.level', text(level))
  gates_now(ctx, words)
  say(words, 'fleet.head_age', string.format('%.1f', oldest / 1000000))
  redis.call('HSET', ctx.p .. K_PULSE, 'at', text(ctx.now), 'next', text(ctx.now + interval), unpack(now))
  redis.call('XADD', ctx.p .. K_METRICS, 'MAXLEN', '~', most, id, unpack(words))
end
