-- Reads the events stream: the newest, or those after one that is known.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] id of the last event seen, or empty for the newest ones
-- ARGV[3] how many
-- reply: ok <now ms> [<event>]... ; event: [id, [<field> <value>...]]
-- Keeps: nothing is written. The stream is capped: whoever reads too slowly misses the oldest.
--@flags no-writes
--@include lib/context
local ctx = open(KEYS[1], ARGV[1])
local key, after, events = ctx.p .. K_EVENTS, ARGV[2], {}
if after == '' then
  local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', ARGV[3])
  for i = #newest, 1, -1 do
    events[#events + 1] = newest[i]
  end
else
  events = redis.call('XRANGE', key, '(' .. after, '+', 'COUNT', ARGV[3])
end
return { 'ok', text(ctx.now), events }
