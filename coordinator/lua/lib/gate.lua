-- Gates: what a job may have to pass before it is claimed, beside its lines. A breaker (`breaker/NAME`), a rate limit
-- (`rate/NAME`, `rate/NAME~KEY`), an adaptive limit (`adaptive/NAME`). Which ones a handler's jobs pass is told by its
-- workers when they open their sessions (`breaker/deploy:5:3:30000:60000:1 rate/deploy:10:1000 ...`): whoever hands in
-- jobs knows nothing of it. What a gate has to remember is a small hash with a time to live: a gate without one is open,
-- so that what is lost is only ever a limit, and never a job.
-- A script reads each gate once, changes it in memory, and writes it before it ends. In `meta` there is a mark while
-- any gate of the namespace has something to say (`ctx.gates`); without it nobody looks.
--@include lib/context
local HOUR, MAX_CLOCKS = 3600000, 1024

-- What this script has read of gates so far.
local function memory(ctx)
  if not ctx.memory then
    ctx.memory = { declared = {}, gates = {}, changed = {}, heads = {}, well = {} }
  end
  return ctx.memory
end

local function words_of(text)
  local words = {}
  for word in string.gmatch(text or '', '%S+') do
    words[#words + 1] = word
  end
  return words
end

-- The numbers behind the name of a gate, as its handler tells them, and behind those the field its key is in.
local function terms_of(terms)
  local numbers = {}
  for number in string.gmatch(terms, ':(%d+)') do
    numbers[#numbers + 1] = tonumber(number)
  end
  return numbers
end

-- The gates of a handler's jobs, as `{ name, kind, numbers, field }`; none for one that no worker has told of.
local function declared(ctx, handler)
  local known = memory(ctx).declared[handler]
  if not known then
    known = {}
    for _, word in ipairs(words_of(redis.call('HGET', ctx.p .. K_GATES, handler))) do
      local name, terms, field = string.match(word, '^([^:~]+)([:%d]*)~?(%S*)$')
      known[#known + 1] = { name = name, kind = string.match(name, '^%a+'), terms = terms, field = field ~= '' and field }
    end
    ctx.memory.declared[handler] = known
  end
  return known
end

-- What a gate remembers: of a breaker `state`, `failed`, `until`, `probing`, `passed`, `opened`, of a limit `tokens`, `at`,
-- `until`, of an adaptive one `pace`, `cut`; `calls` of operators with their answers; the terms it was used with last.
local function gate(ctx, name, terms)
  local g = memory(ctx).gates[name]
  if not g then
    g = { name = name, kind = string.match(name, '^%a+') }
    local fields = redis.call('HGETALL', ctx.p .. K_GATE .. name)
    for i = 1, #fields, 2 do
      g[fields[i]] = fields[i + 1]
    end
    ctx.memory.gates[name] = g
  end
  g.terms = terms and terms ~= '' and terms or g.terms
  if not g.numbers or g.numbers_of ~= g.terms then
    g.numbers, g.numbers_of = terms_of(g.terms or ''), g.terms
  end
  return g
end

local FIELDS = { 'state', 'failed', 'until', 'probing', 'passed', 'since', 'opened', 'why', 'tokens', 'at', 'pace', 'cut',
  'terms', 'calls' }
local SPENT = { 'tokens', 'at', 'terms' } -- what changes when nothing but tokens was taken

-- Kept for so long from now, or not at all if it has nothing to say any more. What an operator said is known for a while,
-- for a copy of it may come late.
local function keep_gate(ctx, g, ms)
  local least = g.opened and 24 * HOUR or g.calls and HOUR
  g.keep, g.anew = (ms or least) and math.ceil(math.max(ms or 0, least or 0)), true
  ctx.memory.changed[g.name] = g
  ctx.memory.well = {}
end

local function write_gates(ctx)
  for name, g in pairs(memory(ctx).changed) do
    local key, fields, named = ctx.p .. K_GATE .. name, {}, SPENT
    if g.anew then
      redis.call('DEL', key)
      named = FIELDS
    end
    g.spent = g.spent and g.spent(ctx, g)
    for _, field in ipairs(g.keep and named or {}) do
      if g[field] then
        fields[#fields + 1], fields[#fields + 2] = field, type(g[field]) == 'number' and text(g[field]) or g[field]
      end
    end
    if #fields > 0 then
      redis.call('HSET', key, unpack(fields))
      redis.call('PEXPIRE', key, text(g.keep))
    end
    ctx.memory.changed[name] = nil
  end
end

-- When somebody has to look at a gate again, for the jobs of one queue that wait there, or without a queue for itself.
local function set_clock(ctx, name, queue, at)
  redis.call('ZADD', ctx.p .. K_CLOCKS, text(math.ceil(at)), queue .. ' ' .. name)
  if not ctx.clocked then
    redis.call('HSET', ctx.meta, 'gates', 1)
    ctx.gates, ctx.clocked = true, true
  end
end

-- A gate that lets through again is looked at at once, for all queues.
local function wake(ctx, name)
  local suffix = ' ' .. name
  for _, clock in ipairs(redis.call('ZRANGE', ctx.p .. K_CLOCKS, 0, MAX_CLOCKS - 1)) do
    if string.sub(clock, -#suffix) == suffix then
      redis.call('ZADD', ctx.p .. K_CLOCKS, 'XX', text(ctx.now), clock)
    end
  end
end
