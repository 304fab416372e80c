-- Opens a script: one reading of the clock, the namespace's prefix, the caller's terms, and what the script will
-- have to do before it ends. The clock is made monotonic with a stored high-water mark: a server whose clock steps
-- back an hour does not freeze leases for an hour, and one that is then put right again does not lapse everybody: the
-- correction is dropped as soon as the server's own clock has passed the mark. Nothing is written here; `commit` writes.
--@include lib/now
-- The terms of the last call: in a library of functions they are read again only when another namespace calls. A context
-- has them from here, and counts that begin at 0: a table with forty fields takes twice as long to make as one with twenty.
local known_terms, known_changes, terms_read
-- The numbers of the terms, in their order (`model/terms`).
local TERMS = { 'aging_us', 'max_line', 'max_queue', 'result_ms', 'dead_ms', 'max_crashes', 'session_ms', 'max_events',
  'retry_share', 'retry_floor', 'retry_window_ms', 'shedding', 'memory_share', 'max_bytes', 'shed_begin', 'shed_end',
  'escalate_after', 'escalate_most' }

-- Whole numbers only. (`%.0f` takes twice as long.) A number that is handed to a command as one costs as much as a third
-- of the command: Redis prints it with seventeen digits. So whatever is written often goes as text.
local DIGITS = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' }

local function text(number)
  return DIGITS[number] or string.format('%d', number)
end

-- Where LOW, and NORMAL too, begins to be refused, and where that ends, as `policy.shed` has it.
local function bands_of(limit, begins, ends)
  local half = math.floor((begins + 1000) / 2)
  return { { begins = math.ceil(begins * limit / 1000), ends = math.ceil(ends * limit / 1000) },
    { begins = math.ceil(half * limit / 1000), ends = math.ceil((half - begins + ends) * limit / 1000) } }
end

-- What the caller knows, and what was changed for the whole fleet, of which it need not have heard yet.
local function terms_from(terms, changes)
  local read, at = { looks = 0, shed_looks = 0, line_looks = 0, displaced = 0 }, 0
  for number in string.gmatch(terms, '%d+') do
    at = at + 1
    read[TERMS[at]] = tonumber(number)
  end
  local begins, ends = read.shed_begin, read.shed_end
  for name, number in string.gmatch(changes or '', '([%l_]+)=(%d+)') do
    read[name] = tonumber(number)
  end
  if read.shed_end > read.shed_begin then
    -- What does not go together with its own settings a process does not take over either.
    read.shed_begin, read.shed_end = begins, ends
  end
  return read
end

local function read_terms(terms, changes)
  if terms ~= known_terms or changes ~= known_changes then
    local read = terms_from(terms, changes)
    local begins, ends, sheds = read.shed_begin, read.shed_end, read.shedding == 1
    read.budget = read.retry_floor > 0
      and { share = read.retry_share, floor = read.retry_floor, window = read.retry_window_ms }
    read.bands = sheds and bands_of(read.max_queue, begins, ends)
    read.line_bands = sheds and bands_of(read.max_line, begins, ends)
    read.bands_for = function(limit) return bands_of(limit, begins, ends) end
    read.soft = sheds and read.bands[1].begins or read.max_queue
    read.memory_terms = sheds and (read.memory_share > 0 or read.max_bytes > 0)
      and { share = read.memory_share, bytes = read.max_bytes, begins = begins, ends = ends }
    read.result_words, read.events_words = text(read.result_ms), text(read.max_events)
    known_terms, known_changes, terms_read = terms, changes, { __index = read }
  end
  return terms_read
end

-- All there is: in most namespaces five fields, and to ask for each by name costs twice as much. `due`: after when the
-- clock's mark is written again. Also returns the server's time.
local function read_meta(meta)
  local v, m = redis.call('HGETALL', meta), { clock = 0, skew = 0, tick = 0, swept = 0, looked = 0 }
  -- Somebody else's fields. To go through very many would take each script longer than all it has to do.
  if #v > 128 then error('CROWDED meta') end
  for i = 1, #v, 2 do
    m[v[i]] = v[i + 1]
  end
  m.due = m.clock + 250000
  return m, server_us()
end

local function open(meta, words, m, us)
  if not m then m, us = read_meta(meta) end  -- else the caller has looked
  local clock, skew = tonumber(m.clock), tonumber(m.skew)
  local ctx = setmetatable({ meta = meta, p = string.sub(meta, 1, -5), tick = tonumber(m.tick), swept = tonumber(m.swept),
    marked = m.left or false, leftover = m.left or false, gates = m.gates or m.limits or false, clocked = m.gates or false,
    shed = m.shed or false, frozen = m.frozen or false, shares = m.shares or false, spare = m.spare or false,
    nested = m.nested or false, memory_mark = m.memory or false, looked = tonumber(m.looked), trees = m.trees or false,
    defined = m.defined or false, us = us, now = 0, dirty = {}, is_dirty = {}, arrived = {}, bells = {}, stats = {},
    lives = {}, left = {}, offered = {} }, read_terms(words, m.terms or false))
  if m.delays or m.sweeper then ctx.delays, ctx.sweeper = m.delays, m.sweeper end
  if us >= clock and skew ~= 0 then
    ctx.skew = 0
  elseif us < clock then
    us = us + skew
    if us < clock then
      ctx.skew, ctx.save_clock, us = skew + clock - us, true, clock
    end
  end
  if us > m.due then ctx.save_clock = true end
  ctx.us, ctx.now = us, math.floor(us / 1000)
  return ctx
end

-- The time as it is written, many times in one script.
local function now_text(ctx)
  ctx.now_text = ctx.now_text or text(ctx.now)
  return ctx.now_text
end

-- The next number of the namespace: larger than all before and never behind the clock, so that it keeps growing
-- when the server forgets its newest writes. It serves as fence and as place in line.
local function draw(ctx)
  ctx.tick, ctx.drawn = math.max(ctx.tick + 1, ctx.us), true
  return ctx.tick
end

-- Remembers a resource whose line has to be looked at before the script ends.
local function touch(ctx, resource)
  if not ctx.is_dirty[resource] then
    ctx.is_dirty[resource] = true
    ctx.dirty[#ctx.dirty + 1] = resource
  end
end
