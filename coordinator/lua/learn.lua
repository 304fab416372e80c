-- Adds what a process has seen to what the fleet has seen in the last 24 hours, moves timeouts, and tells how they stand.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] number of this report
-- ARGV[4] how many things may be counted apart
-- ARGV[5] least ms between two moves of a timeout
-- ARGV[6...] per thing: name, base in ms, strategy or empty, total that is known, version that is known, next timeout in ms or empty, p99 in ms it follows from, how many words follow, then fields (ok, late, a bucket) and counts
-- reply: ok [<thing>]... ; thing: [name it is counted under, timeout in ms, version, total, [<field> <count>...] unless the total is known]
-- reply: session_lost
-- Keeps: a report counts once; a timeout moves from the version that was looked at, and not more often than that.
--@include lib/timings
--@include lib/send
--@include lib/emit
-- Windows put together anew in one call, of those whose oldest hour is over.
local MAX_ROLLS = 8
-- A move by more than this share of what was last told of is told of.
local NEWS = 0.2

local function read_things()
  local things, at = {}, 6
  while ARGV[at] do
    local words = tonumber(ARGV[at + 7])
    things[#things + 1] = { name = ARGV[at], base = ARGV[at + 1], strategy = ARGV[at + 2], known = ARGV[at + 3],
      version = ARGV[at + 4], next = tonumber(ARGV[at + 5]), p99 = ARGV[at + 6],
      counts = { unpack(ARGV, at + 8, at + 7 + words) } }
    at = at + 8 + words
  end
  return things
end

local function tell(ctx, name, kept, thing)
  local told = tonumber(kept.told)
  if math.abs(thing.next - told) <= told * NEWS then
    return
  end
  emit(ctx, 'timeout', name, 'from', text(told), 'to', text(thing.next), 'p99', thing.p99, 'base', thing.base)
  redis.call('HSET', ctx.p .. K_TIMEOUT .. name, 'told', text(thing.next))
end

-- Only the first of those who looked at one version moves it: the others would move it as many times as they are.
local function move_timeout(ctx, name, kept, thing, pace)
  if not thing.next or thing.version ~= kept.version or ctx.now - tonumber(kept.moved) < pace then
    return
  end
  tell(ctx, name, kept, thing)
  kept.now, kept.version = text(thing.next), text(tonumber(kept.version) + 1)
  redis.call('HSET', ctx.p .. K_TIMEOUT .. name, 'now', kept.now, 'version', kept.version, 'moved', text(ctx.now))
end

local ctx = open(KEYS[1], ARGV[1])
local session, number, most, pace = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if not live(ctx, session) then
  return { 'session_lost' }
end
local record = ctx.p .. K_SESSION .. session
local again = tonumber(redis.call('HGET', record, 'report') or 0) >= number
local reply, rolls = { 'ok' }, 0
forget_timings(ctx)
for _, thing in ipairs(read_things()) do
  local name = counted_under(ctx, thing.name, most)
  local kept = timeout_of(ctx, name, thing.base, thing.strategy)
  if not again then
    count_timings(ctx, name, thing.counts)
    move_timeout(ctx, name, kept, thing, pace)
  end
  if rolls < MAX_ROLLS and roll_timings(ctx, name, kept) then
    rolls = rolls + 1
  end
  local total = total_of(ctx, name)
  reply[#reply + 1] = { name, kept.now, kept.version, total,
    total == thing.known and {} or redis.call('HGETALL', ctx.p .. K_TIMINGS .. name) }
end
redis.call('HSET', record, 'report', text(number))
return reply
