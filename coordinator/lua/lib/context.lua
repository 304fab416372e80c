-- Opens a script: one reading of the clock, the namespace's prefix, the caller's terms, and what the script will
-- have to do before it ends. The clock is made monotonic with a stored high-water mark: a server whose clock steps
-- back an hour does not freeze leases for an hour, and one that is then put right again does not lapse everybody: the
-- correction is dropped as soon as the server's own clock has passed the mark. Nothing is written here; `commit` writes.
--@include lib/now
-- The terms of the last call: in a library of functions they are read again only when another namespace calls. A context
-- has them from here, and counts that begin at 0: a table with forty fields takes twice as long to make as one with twenty.
local known_terms, terms_read

-- As `policy.shed` has it, of the shares per mille.
local function line_bands(limit, begins, ends)
  local half = math.floor((begins + 1000) / 2)
  return { { begins = math.ceil(begins * limit / 1000), ends = math.ceil(ends * limit / 1000) },
    { begins = math.ceil(half * limit / 1000), ends = math.ceil((half - begins + ends) * limit / 1000) } }
end

local function read_terms(terms)
  if terms ~= known_terms then
    local aging, line, queue, result, dead, crashes, session, events, share, floor, window, low, low_end, normal, normal_end, mem, bytes, begins, ends =
      string.match(terms, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) '
      .. '(%d+) (%d+) (%d+) (%d+)$')
    local read = { looks = 0, shed_looks = 0, displaced = 0,
      aging_us = tonumber(aging), max_line = tonumber(line), max_queue = tonumber(queue),
      result_ms = tonumber(result), dead_ms = tonumber(dead), max_crashes = tonumber(crashes),
      session_ms = tonumber(session), max_events = tonumber(events), budget = tonumber(floor) > 0
      and { share = tonumber(share), floor = tonumber(floor), window = tonumber(window) } }
    read.bands = low ~= '0' and { { begins = tonumber(low), ends = tonumber(low_end) },
      { begins = tonumber(normal), ends = tonumber(normal_end) } }
    read.line_bands = low ~= '0' and line_bands(read.max_line, tonumber(begins), tonumber(ends))
    read.soft = low ~= '0' and tonumber(low) or tonumber(queue)
    read.memory_terms = (mem ~= '0' or bytes ~= '0')
      and { share = tonumber(mem), bytes = tonumber(bytes), begins = tonumber(begins), ends = tonumber(ends) }
    known_terms, terms_read = terms, { __index = read }
  end
  return terms_read
end

local function open(meta, words)
  local m = redis.call('HMGET', meta, 'clock', 'skew', 'tick', 'swept', 'left', 'gates', 'limits', 'shed', 'frozen',
    'shares', 'spare', 'nested', 'memory', 'looked')
  local clock, skew = tonumber(m[1] or 0), tonumber(m[2] or 0)
  local us = server_us()
  local ctx = setmetatable({ meta = meta, p = string.sub(meta, 1, -5), tick = tonumber(m[3] or 0), swept = tonumber(m[4] or 0),
    marked = m[5], leftover = m[5], gates = m[6] or m[7], clocked = m[6], shed = m[8], frozen = m[9],
    shares = m[10], spare = m[11], nested = m[12], memory_mark = m[13], looked = tonumber(m[14] or 0), us = us, now = 0, dirty = {}, is_dirty = {}, arrived = {},
    bells = {}, stats = {}, lives = {}, left = {}, offered = {} }, read_terms(words))
  if us >= clock then
    ctx.skew = skew ~= 0 and 0 or nil
  else
    us = us + skew
    if us < clock then
      ctx.skew = skew + clock - us
      us = clock
      ctx.save_clock = true
    end
  end
  if us > clock + 250000 then
    ctx.save_clock = true
  end
  ctx.us, ctx.now = us, math.floor(us / 1000)
  return ctx
end

-- The next number of the namespace: larger than all before and never behind the clock, so that it keeps growing
-- when the server forgets its newest writes. It serves as fence and as place in line.
local function draw(ctx)
  ctx.tick = math.max(ctx.tick + 1, ctx.us)
  ctx.drawn = true
  return ctx.tick
end

-- Whole numbers only. (`%.0f` takes twice as long.)
local function text(number)
  return string.format('%d', number)
end

-- Remembers a resource whose line has to be looked at before the script ends.
local function touch(ctx, resource)
  if not ctx.is_dirty[resource] then
    ctx.is_dirty[resource] = true
    ctx.dirty[#ctx.dirty + 1] = resource
  end
end
