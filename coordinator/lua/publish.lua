-- Publishes what one process has measured, and once an interval what only the server knows: one call a second each.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] process and number of the sample, such as `4cRtqXb9e-2a 17`
-- ARGV[3] interval in ms
-- ARGV[4] length of the stream, at most
-- ARGV[5] bytes of the stream, at most
-- ARGV[6] ms between two looks at the alerts, or 0 for none
-- ARGV[7] how far the caller's batch size has moved: `<from> <to> <why> <microseconds of work of a job>`, or empty
-- ARGV[8...] fields and values of the sample
-- reply: ok <now ms> <1 if the caller is to look at the alerts, else 0>
-- Keeps: of all processes one looks at the alerts at a time, and it is always one that lives: the caller. A repeated
--   call answers as the first did; its sample, if it is there twice, has the same number, and readers count it once.
--@include lib/fleet_sample
--@include lib/emit
local MAX_BYTES_LOOKED = 16
local ctx = open(KEYS[1], ARGV[1])
local stream = ctx.p .. K_METRICS
local pulse = ctx.p .. K_PULSE
local known = redis.call('HMGET', pulse, 'next', 'judged', 'judge', 'last', 'count')
-- Ids by our clock and not by the server's, which may be set back: then the newest samples would look an hour old.
local last = math.max(ctx.now, past(ctx, known[4]))
local count = text(last) == known[4] and past(ctx, known[5]) + 2 or 0
redis.call('XADD', stream, 'MAXLEN', '~', ARGV[4], text(last) .. '-' .. text(count), unpack(ARGV, 8))
redis.call('HSET', pulse, 'last', text(last), 'count', text(count))
if ctx.now >= past(ctx, known[1]) then
  fleet_sample(ctx, text(last) .. '-' .. text(count + 1), tonumber(ARGV[3]), ARGV[4])
  local used = redis.call('MEMORY', 'USAGE', stream, 'SAMPLES', MAX_BYTES_LOOKED)
  if used > tonumber(ARGV[5]) then
    -- A tenth more than is needed, so that this is not done every time.
    redis.call('XTRIM', stream, 'MAXLEN', math.floor(redis.call('XLEN', stream) * tonumber(ARGV[5]) / used * 0.9))
  end
end
local from, to, why, work = string.match(ARGV[7], '^(%d+) (%d+) (%a+) (%d+)$')
if from then
  local process, number = string.match(ARGV[2], '^(%S+) (%d+)$')
  emit(ctx, 'batch', process or '', 'from', from, 'to', to, 'why', why, 'work_us', work, 'number', number or '')
end
local judge = known[3] == ARGV[2]
if not judge and ARGV[6] ~= '0' and ctx.now >= past(ctx, known[2]) + tonumber(ARGV[6]) then
  judge = true
  redis.call('HSET', pulse, 'judged', text(ctx.now), 'judge', ARGV[2])
end
return { 'ok', text(ctx.now), judge and 1 or 0 }
