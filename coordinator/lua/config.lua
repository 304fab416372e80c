-- The settings that were changed for the running fleet.
-- KEYS[1] meta
-- ARGV[1] terms
-- reply: ok <version> [<name> <value>...]
-- Keeps: nothing is written.
--@flags no-writes
--@include lib/context
local ctx = open(KEYS[1], ARGV[1])
local fields, version, pairs_of = redis.call('HGETALL', ctx.p .. K_CONFIG), '0', {}
for i = 1, #fields, 2 do
  if fields[i] == ':version' then
    version = fields[i + 1]
  elseif fields[i] ~= ':call' then
    pairs_of[#pairs_of + 1], pairs_of[#pairs_of + 2] = fields[i], fields[i + 1]
  end
end
return { 'ok', version, pairs_of }
