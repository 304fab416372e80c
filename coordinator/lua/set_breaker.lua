-- Opens a breaker for some time, or closes it, because somebody says so.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] name of the breaker
-- ARGV[3] open | close
-- ARGV[4] how long it is to be open, in ms
-- ARGV[5] who does it
-- ARGV[6] reason
-- ARGV[7] id of this call
-- reply: ok <state>
-- Keeps: runs that have begun are not disturbed; a repeated call answers as the first did, also after other calls.
--@include lib/settle_lines
--@include lib/gated
--@include lib/audited
--@include lib/commit
-- Calls that are known again; more than one operator makes while a copy of one is under way.
local MOST_CALLS = 8
local ctx = open(KEYS[1], ARGV[1])
local g = gate(ctx, 'breaker/' .. ARGV[2])
local calls = words_of(g.calls)
for _, call in ipairs(calls) do
  local id, state = string.match(call, '^(.*):(.*)$')
  if id == ARGV[7] then
    return { 'ok', state }
  end
end
local was = g.state or 'closed'
if ARGV[3] == 'open' then
  g.why = ARGV[6]
  trip(ctx, g, tonumber(ARGV[4]), 'by', 'operator', 'who', ARGV[5], 'reason', ARGV[6])
  audited(ctx, 'open_breaker', ARGV[2], ARGV[5], ARGV[6], 'was', was, 'until', g['until'])
else
  if g.state or g.failed then
    close(ctx, g, 'by', 'operator', 'who', ARGV[5], 'reason', ARGV[6])
  end
  audited(ctx, 'close_breaker', ARGV[2], ARGV[5], ARGV[6], 'was', was)
end
calls[#calls + 1] = ARGV[7] .. ':' .. (g.state or 'closed')
g.calls = table.concat(calls, ' ', math.max(1, #calls - MOST_CALLS + 1))
keep_gate(ctx, g, g.keep)
pass_due(ctx)
settle_lines(ctx)
write_gates(ctx)
commit(ctx)
return { 'ok', g.state or 'closed' }
