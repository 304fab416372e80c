-- Finds the jobs whose texts share the most buckets with one text. The caller compares the texts themselves.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] how many jobs at most
-- ARGV[3...] buckets
-- reply: ok [<job>]... ; job: [id, state, text]
-- Keeps: nothing is written. A bucket has few ids, so this is the same work however many texts are kept.
--@flags no-writes
--@include lib/context
local ctx = open(KEYS[1], ARGV[1])
local most, keys, shared, found = tonumber(ARGV[2]), {}, {}, {}
for i = 3, #ARGV do
  keys[#keys + 1] = ctx.p .. K_BAND .. ARGV[i]
end
for _, ids in ipairs(redis.call('MGET', unpack(keys))) do
  for id in string.gmatch(ids or '', '%S+') do
    if not shared[id] then
      found[#found + 1] = id
    end
    shared[id] = (shared[id] or 0) + 1
  end
end
table.sort(found, function(one, other)
  if shared[one] ~= shared[other] then
    return shared[one] > shared[other]
  end
  return one < other
end)
local reply = { 'ok' }
for i = 1, math.min(most, #found) do
  local state = redis.call('HGET', ctx.p .. K_REQ .. found[i], 'state')
  local gist = redis.call('GET', ctx.p .. K_GIST .. found[i])
  if state and gist then
    reply[#reply + 1] = { found[i], state, gist }
  end
end
return reply
