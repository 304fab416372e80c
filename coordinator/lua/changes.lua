-- Reads the events after one that was seen, for somebody who follows what becomes of resources.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] id of the last event seen, or empty to begin with what comes
-- ARGV[3] how many
-- reply: ok <now ms> <id of the last event looked at> [<event>]... ; event: [id, [<field> <value>...], needs of its request, or empty]
-- reply: gap <now ms> <id of the last event looked at> [<event>]...
-- Keeps: nothing is written. A gap is told of when the event that was seen is there no longer: what came between it and
-- the first that still is may be missing.
--@flags no-writes
--@include lib/request
local BEGINNING = '0-0'
local ctx = open(KEYS[1], ARGV[1])
local after, most = ARGV[2], tonumber(ARGV[3])

local function newest()
  local last = redis.call('XREVRANGE', ctx.p .. K_EVENTS, '+', '-', 'COUNT', 1)
  return last[1] and last[1][1] or BEGINNING
end

-- Events say what their requests need, if it is short; those of persons do not, nor do long needs fit.
local function needs_behind(fields)
  local subject
  for i = 1, #fields, 2 do
    if fields[i] == 'needs' then
      return fields[i + 1]
    elseif fields[i] == 'id' then
      subject = fields[i + 1]
    end
  end
  local needs = subject and redis.call('HGET', ctx.p .. K_REQ .. subject, 'needs')
  return needs and needs_text(ctx, { id = subject, needs = needs }) or ''
end

if after == '' then
  return { 'ok', text(ctx.now), newest(), {} }
end
local page = redis.call('XRANGE', ctx.p .. K_EVENTS, after, '+', 'COUNT', most + 1)
local seen = page[1] and page[1][1] == after
local found = {}
for i = seen and 2 or 1, #page do
  if #found < most then
    found[#found + 1] = { page[i][1], page[i][2], needs_behind(page[i][2]) }
  end
end
local last = found[1] and found[#found][1] or seen and after or newest()
if seen or after == BEGINNING then
  return { 'ok', text(ctx.now), last, found }
end
return { 'gap', text(ctx.now), last, found }
