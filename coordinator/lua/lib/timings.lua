-- What the fleet has seen of how long things take: one hash of counts per thing for the last 24 hours, and one for each
-- of these hours, of which the first is put together anew when an hour is over. Fields: `ok` and `late` count how they
-- ended, a number is a bucket of latencies.
--@include lib/context
--@include lib/counted
local HOUR_MS, HOURS = 3600000, 24
local KEEP_MS = HOUR_MS * (HOURS + 1)

local function hour_of(ctx)
  return math.floor(ctx.now / HOUR_MS)
end

-- Things that nobody has seen for as long as anything is kept.
local function forget_timings(ctx)
  local before = '(' .. text(ctx.now - KEEP_MS)
  redis.call('ZREMRANGEBYSCORE', ctx.p .. K_TIMEOUTS, '-inf', before)
  redis.call('ZREMRANGEBYSCORE', ctx.p .. K_HOLDS, '-inf', before)
end

-- Beyond so many things all new ones of a type are counted as one.
local function counted_under(ctx, name, most)
  local all = counted_in(name)
  if not redis.call('ZSCORE', ctx.p .. all, name) and redis.call('ZCARD', ctx.p .. all) >= most then
    name = string.match(name, '^[^/]*/') .. '~other'
  end
  redis.call('ZADD', ctx.p .. all, text(ctx.now), name)
  return name
end

-- How a timeout stands, which is made here if it is new: at its base.
local function timeout_of(ctx, name, base, strategy)
  local key = ctx.p .. K_TIMEOUT .. name
  local v = redis.call('HMGET', key, 'now', 'version', 'moved', 'told', 'hour')
  if not v[1] then
    v = { base, '0', '0', base, text(hour_of(ctx)) }
    redis.call('HSET', key, 'now', base, 'version', '0', 'moved', '0', 'told', base, 'hour', v[5])
  end
  redis.call('HSET', key, 'base', base)
  if strategy ~= '' then
    redis.call('HSET', key, 'strategy', strategy)
  end
  redis.call('PEXPIRE', key, KEEP_MS)
  return { now = v[1], version = v[2], moved = v[3], told = v[4], hour = v[5] }
end

local function count_timings(ctx, name, counts)
  if #counts == 0 then
    return
  end
  local whole = ctx.p .. K_TIMINGS .. name
  local hourly = ctx.p .. K_HOURLY .. name .. ':' .. text(hour_of(ctx))
  for i = 1, #counts, 2 do
    redis.call('HINCRBY', whole, counts[i], counts[i + 1])
    redis.call('HINCRBY', hourly, counts[i], counts[i + 1])
  end
  redis.call('PEXPIRE', whole, KEEP_MS)
  redis.call('PEXPIRE', hourly, KEEP_MS)
end

-- Leaves the hours out that are over. Returns whether there was anything to do.
local function roll_timings(ctx, name, kept)
  local hour = hour_of(ctx)
  if kept.hour == text(hour) then
    return false
  end
  local sums, words = {}, {}
  for past = hour - HOURS + 1, hour do
    local counts = redis.call('HGETALL', ctx.p .. K_HOURLY .. name .. ':' .. text(past))
    for i = 1, #counts, 2 do
      sums[counts[i]] = (sums[counts[i]] or 0) + tonumber(counts[i + 1])
    end
  end
  for field, count in pairs(sums) do
    words[#words + 1], words[#words + 2] = field, text(count)
  end
  local whole = ctx.p .. K_TIMINGS .. name
  redis.call('DEL', whole)
  if words[1] then
    redis.call('HSET', whole, unpack(words))
    redis.call('PEXPIRE', whole, KEEP_MS)
  end
  redis.call('HSET', ctx.p .. K_TIMEOUT .. name, 'hour', text(hour))
  return true
end

local function total_of(ctx, name)
  local v = redis.call('HMGET', ctx.p .. K_TIMINGS .. name, 'ok', 'late')
  return text(tonumber(v[1] or 0) + tonumber(v[2] or 0))
end
