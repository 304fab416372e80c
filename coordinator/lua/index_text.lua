-- Enters the text of a job that was accepted into its buckets, for a time.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] ms for which it is found
-- ARGV[4] its text
-- ARGV[5...] its buckets
-- reply: ok
-- reply: gone
-- Keeps: a bucket has at most 16 ids, the newest; a repeated call changes nothing. Only what has a record is entered.
--@include lib/context
local MAX_IDS = 16
local ctx = open(KEYS[1], ARGV[1])
local id, ttl = ARGV[2], ARGV[3]

-- The newest of them, with ours behind.
local function with_ours(ids)
  local list = {}
  for one in string.gmatch(ids or '', '%S+') do
    list[#list + 1] = one
  end
  list[#list + 1] = id
  return table.concat(list, ' ', math.max(1, #list - MAX_IDS + 1))
end

if redis.call('EXISTS', ctx.p .. K_REQ .. id) == 0 then
  return { 'gone' }
elseif redis.call('SET', ctx.p .. K_GIST .. id, ARGV[4], 'PX', ttl, 'NX') then
  for i = 5, #ARGV do
    local key = ctx.p .. K_BAND .. ARGV[i]
    redis.call('SET', key, with_ours(redis.call('GET', key)), 'PX', ttl)
  end
end
return { 'ok' }
