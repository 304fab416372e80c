-- Sharing by weights, as `coordinator/policy/share.py` has it. What is shared has a field in the hash `shares`: a queue, by
-- priority, under its name; a worker's queues under names and weights, `default=3,bulk=1`, so that all workers of these
-- weights share. `<ms of last use> <weights> <leads> <where the index has got to>`, of a queue from EMERGENCY to LOW.
--@include lib/context
local SCALE, MAX_SHARES = 720720000, 256

local function numbers_in(words)
  local numbers = {}
  for word in string.gmatch(words or '', '%d+') do
    numbers[#numbers + 1] = tonumber(word)
  end
  return numbers
end

-- What is known of something that is shared, with the weights as the caller has them; nil if too much is shared.
local function share_of(ctx, field, weights)
  local key = ctx.p .. K_SHARES
  local kept = redis.call('HGET', key, field)
  if not kept and redis.call('HLEN', key) >= MAX_SHARES then
    return nil
  end
  local leads, cursor = string.match(kept or '', '^%d+ %S+ (%S+) ?([%d.e+]*)$')
  local share = { field = field, weights = numbers_in(weights), leads = numbers_in(leads), cursor = tonumber(cursor) and cursor or '' }
  for i, weight in ipairs(share.weights) do
    share.leads[i] = math.min(share.leads[i] or 0, math.floor(SCALE / weight))
  end
  return share
end

-- Whose turn it is, of those of `sharers` for whom `busy` is true.
local function turn_of(share, sharers, busy)
  local first
  for i, one in ipairs(sharers) do
    if busy(one) and (not first or share.leads[i] < share.leads[first]) then
      first = i
    end
  end
  return first
end

local function take_turn(share, one)
  local passed = share.leads[one]
  for i = 1, #share.weights do
    share.leads[i] = math.max(0, share.leads[i] - passed)
  end
  share.leads[one] = math.floor(SCALE / share.weights[one])
end

local function keep_share(ctx, share)
  local leads = {}
  for i = 1, #share.weights do
    leads[i] = text(share.leads[i])
  end
  redis.call('HSET', ctx.p .. K_SHARES, share.field, text(ctx.now) .. ' ' .. table.concat(share.weights, ':') .. ' '
    .. table.concat(leads, ':') .. (share.cursor ~= '' and ' ' .. share.cursor or ''))
  if not ctx.shares then
    ctx.shares = '1'
    redis.call('HSET', ctx.meta, 'shares', ctx.shares)
  end
end
