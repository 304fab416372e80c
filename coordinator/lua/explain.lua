-- Everything about one request at one moment: its fields, and for each need who holds and who stands before it.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] how many of those before it to name, and of the holders above and below what it needs
-- ARGV[4] how many holders of each need to name
-- ARGV[5] how many of them to leave out before these
-- reply: ok <now ms> [<field> <value>...] [<note field> <value>...] [<need>]... [<place in queue> <queue length> <idle workers> <jobs on offer there>, and if it is shared: <how> <place in its priority> <jobs of it>] <due ms, or empty> [<place at its gate> <how many wait there> <ms at which it is looked at next> <field of the gate> <value>...] ; need: [resource, mode, permits, capacity, place, line length, [holder...], [ahead...], [<pattern> <until ms> <by> <reason>], [<around>...], mode of the line, or empty for by priority, what those after `ahead` ask for, as `s1*80 x2*1`] ; around: [resource, [holder...], [ahead...]]
-- reply: gone
-- Keeps: nothing is written.
--@flags no-writes
--@include lib/request
--@include lib/usage
--@include lib/person
--@include lib/frozen
--@include lib/classes
--@include lib/overlap
-- Of so many more of those before it, in all its lines, is told what they ask for.
local COUNTED = 128

-- What those of a line ask for, from one place to before another; `s1*80`: 80 next to each other ask for the same.
local function crowd(ctx, line, resource, from, to)
  local words, last, many = {}, nil, 0
  for _, id in ipairs(to > from and redis.call('ZRANGE', line, from, to - 1) or {}) do
    local one = wanted(ctx, id, redis.call('HGET', ctx.p .. K_REQ .. id, 'needs'), resource)
    if one ~= last then
      last, many, words[#words + 1] = one, 0, ''
    end
    many = many + 1
    words[#words] = string.gsub(one, ' ', '') .. '*' .. many
  end
  return table.concat(words, ' ')
end

-- The gate that a job waits at, if any.
local function gate_of(ctx, r)
  if not r.gate or r.state ~= 'waiting' then
    return {}
  end
  local key = ctx.p .. K_GATED .. r.gate .. ':' .. r.queue
  return { redis.call('ZRANK', key, r.id) or '', redis.call('ZCARD', key),
    redis.call('ZSCORE', ctx.p .. K_CLOCKS, r.queue .. ' ' .. r.gate) or '',
    unpack(redis.call('HGETALL', ctx.p .. K_GATE .. r.gate)) }
end

local function frozen_words(freeze)
  return freeze and { freeze.pattern, text(freeze.ends), freeze.by, freeze.why } or {}
end

-- Where a job stands in a queue, and among those of its priority if the queue is shared by weights.
local function place_of(ctx, r)
  local ready, class = ctx.p .. K_READY .. r.queue, class_of(r.queue, r.priority)
  local place = { redis.call('ZRANK', ready, r.id), redis.call('ZCARD', ready), redis.call('ZCARD', ctx.p .. K_IDLE .. r.queue),
    redis.call('ZCARD', ctx.p .. K_SPARE .. r.queue) }
  if is_shared(ctx, r.queue) then
    place[5] = redis.call('HGET', ctx.p .. K_SHARES, r.queue)
    place[6], place[7] = redis.call('ZRANK', ctx.p .. class, r.id) or '', redis.call('ZCARD', ctx.p .. class)
  end
  return place
end

local ctx = open(KEYS[1], ARGV[1])
local id, most = ARGV[2], tonumber(ARGV[3])
local r = load(ctx, id)
if not r then
  return { 'gone' }
end
-- The payload is for the handler only.
local shown = {}
for name, value in pairs({ kind = r.kind, priority = r.priority }) do
  shown[#shown + 1], shown[#shown + 2] = name, value
end
local fields = redis.call('HGETALL', ctx.p .. K_REQ .. id)
for i = 1, #fields, 2 do
  local hidden = fields[i] == 'data' or fields[i] == 'data2' or fields[i] == 'kind' or fields[i] == 'priority'
  if not hidden then
    shown[#shown + 1], shown[#shown + 2] = fields[i], fields[i + 1]
  end
end
local needs, counted = {}, COUNTED
for _, need in ipairs(needs_of(ctx, r)) do
  local line = ctx.p .. K_LINE .. need.resource
  local place = redis.call('ZRANK', line, id)
  local ahead = place and place > 0 and redis.call('ZRANGE', line, 0, math.min(place, most) - 1) or {}
  local to = math.min(place or 0, most + counted)
  counted = counted - math.max(0, to - most)
  needs[#needs + 1] = { need.resource, need.mode, need.permits, capacity(ctx, need.resource),
    place and tostring(place) or '', redis.call('ZCARD', line), holders_of(ctx, need.resource, tonumber(ARGV[4]), tonumber(ARGV[5])),
    persons(ctx, ahead, need.resource), frozen_words(halts.bar(ctx, r, need.resource)),
    place and beside.neighbours(ctx, need, rank_of(ctx, r), most) or {},
    defined.of(ctx, need.resource).mode or '', crowd(ctx, line, need.resource, most, to) }
end
local queue = r.kind == 'job' and r.state == 'ready' and place_of(ctx, r) or {}
return { 'ok', text(ctx.now), shown, redis.call('HGETALL', ctx.p .. K_NOTE .. id),
  needs, queue, redis.call('ZSCORE', ctx.p .. K_SCHEDULED, id) or '', gate_of(ctx, r) }
