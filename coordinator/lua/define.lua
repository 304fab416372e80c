-- Says how a resource is granted. More permits help those who already wait; fewer never take one back.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] resource
-- ARGV[3] who does it
-- ARGV[4] reason
-- ARGV[5] id of this call
-- ARGV[6...] pairs of capacity | mode | max_line | max_hold | lock_delay and value (times in ms), or empty for what holds
--   where nothing is defined
-- reply: ok [<field> <value>...]
-- With `turn` among the fields its line is not all in its new order yet: another call goes on with that.
-- Keeps: what is not named; what is defined is read live from here, never copied into requests; a repeated call changes
-- nothing more, though there have been others since.
--@include lib/settle_lines
--@include lib/defined
--@include lib/frozen
--@include lib/audited
--@include lib/commit
-- Calls that are remembered, so that a late copy of one does not undo what was said after it.
local MOST_CALLS = 8

local function fields_of(pairs_of)
  local fields = {}
  for i = 1, #pairs_of, 2 do
    fields[pairs_of[i]] = pairs_of[i + 1]
  end
  return fields
end

-- 1 for what is looked at only where it is noted in `meta` that there is any.
local function special(fields)
  return (defined.special(fields) or fields.turn) and 1 or 0
end

-- The named fields that are not as they are to be.
local function changes(was, wanted)
  local changed = {}
  for i = 1, #wanted, 2 do
    if (was[wanted[i]] or '') ~= wanted[i + 1] then
      changed[#changed + 1], changed[#changed + 2] = wanted[i], wanted[i + 1]
    end
  end
  return changed
end

-- For the record: each field, and what it was.
local function with_before(was, changed)
  local told = {}
  for i = 1, #changed, 2 do
    for _, one in ipairs({ changed[i], changed[i + 1], changed[i] .. '_before', was[changed[i]] or '' }) do
      told[#told + 1] = one
    end
  end
  return told
end

-- Remembers a call. Returns whether it is a new one.
local function note_call(key, was, call)
  local calls = {}
  for known in string.gmatch(was.call or '', '[^\n]+') do
    calls[#calls + 1] = known
    if known == call then
      return false
    end
  end
  calls[#calls + 1] = call
  redis.call('HSET', key, 'call', table.concat(calls, '\n', math.max(1, #calls - MOST_CALLS + 1)))
  return true
end

local function write_definition(ctx, resource, was, changed)
  local key = ctx.p .. K_DEF .. resource
  for i = 1, #changed, 2 do
    if changed[i + 1] == '' then
      redis.call('HDEL', key, changed[i])
    else
      redis.call('HSET', key, changed[i], changed[i + 1])
    end
    if changed[i] == 'mode' and redis.call('EXISTS', ctx.p .. K_LINE .. resource) == 1 then
      redis.call('HSET', key, 'turn', '0')
    end
  end
  local now = fields_of(redis.call('HGETALL', key))
  defined.count(ctx, special(now) - special(was))
  if was.delayed and not now.lock_delay then
    halts.end_delay(ctx, '!' .. resource)
  end
end

local ctx = open(KEYS[1], ARGV[1])
local resource, key = ARGV[2], ctx.p .. K_DEF .. ARGV[2]
local was = fields_of(redis.call('HGETALL', key))
local changed = changes(was, { unpack(ARGV, 6) })
-- One that changes nothing counts too, where there is anything that a copy of it could undo later.
if ARGV[6] and (changed[1] or next(was)) and not note_call(key, was, ARGV[5]) then
  changed = {}
end
if changed[1] or was.turn then
  if changed[1] then
    write_definition(ctx, resource, was, changed)
    audited(ctx, 'define', resource, ARGV[3], ARGV[4], unpack(with_before(was, changed)))
  end
  touch(ctx, resource)
  -- With fewer permits, or another order, an offer may have to step back although nobody has arrived.
  ctx.thorough = true
  settle_lines(ctx)
  commit(ctx)
end
local shown = {}
for name, value in pairs(fields_of(redis.call('HGETALL', key))) do
  if name ~= 'call' and name ~= 'gaps' then
    shown[#shown + 1], shown[#shown + 2] = name, value
  end
end
return { 'ok', unpack(shown) }
