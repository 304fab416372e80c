-- All gates that handlers have told of or that jobs wait at, and how they stand.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] breaker | rate | adaptive
-- ARGV[3] how many at most
-- reply: ok <now ms> [[<gate> <jobs that wait there> <ms at which it is looked at next, or empty> <field> <value>...]...]
-- Keeps: nothing is written, and a call does bounded work.
--@flags no-writes
--@include lib/gate
local MAX_CLOCKS_READ, MAX_HANDLERS_READ = 4096, 4096
local ctx = open(KEYS[1], ARGV[1])
local kind, most = ARGV[2], tonumber(ARGV[3])
local names, known = {}, {}
local function note(name)
  if #names < most and string.match(name, '^%a+') == kind and not known[name] then
    names[#names + 1] = name
    known[name] = { waiting = 0 }
  end
end

local clocks = redis.call('ZRANGE', ctx.p .. K_CLOCKS, 0, MAX_CLOCKS_READ - 1, 'WITHSCORES')
for i = 1, #clocks, 2 do
  local queue, name = string.match(clocks[i], '^(%S*) (%S+)$')
  note(name or '')
  local one = known[name or '']
  if one and queue ~= '' then
    one.waiting = one.waiting + redis.call('ZCARD', ctx.p .. K_GATED .. name .. ':' .. queue)
  end
  if one then
    one.next = math.min(one.next or math.huge, tonumber(clocks[i + 1]))
  end
end
local handlers = redis.call('HRANDFIELD', ctx.p .. K_GATES, MAX_HANDLERS_READ, 'WITHVALUES')
for i = 2, #handlers, 2 do
  for _, word in ipairs(words_of(handlers[i])) do
    local name, terms = string.match(word, '^([^:~]+)([:%d]*)')
    note(name)
    if known[name] then
      known[name].terms = terms
    end
  end
end
local reply = {}
for i, name in ipairs(names) do
  local one = known[name]
  reply[i] = { name, one.waiting, one.next and text(one.next) or '', 'terms', one.terms or '',
    unpack(redis.call('HGETALL', ctx.p .. K_GATE .. name)) }
end
return { 'ok', text(ctx.now), reply }
