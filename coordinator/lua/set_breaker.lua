-- Opens a breaker for some time, or closes it, because somebody says so.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] name of the breaker
-- ARGV[3] open | close
-- ARGV[4] how long it is to be open, in ms
-- ARGV[5] reason
-- ARGV[6] id of this call
-- reply: ok <state>
-- Keeps: runs that have begun are not disturbed; a repeated call answers as the first did, also after other calls.
--@include lib/settle_lines
--@include lib/gated
--@include lib/commit
-- Calls that are known again; more than one operator makes while a copy of one is under way.
local MOST_CALLS = 8
local ctx = open(KEYS[1], ARGV[1])
local g = gate(ctx, 'breaker/' .. ARGV[2])
local calls = words_of(g.calls)
for _, call in ipairs(calls) do
  local id, state = string.match(call, '^(.*):(.*)$')
  if id == ARGV[6] then
    return { 'ok', state }
  end
end
if ARGV[3] == 'open' then
  g.why = ARGV[5] ~= '' and ARGV[5] or nil
  trip(ctx, g, tonumber(ARGV[4]), 'by', 'operator', 'reason', ARGV[5])
elseif g.state or g.failed then
  close(ctx, g, 'by', 'operator', 'reason', ARGV[5])
end
calls[#calls + 1] = ARGV[6] .. ':' .. (g.state or 'closed')
g.calls = table.concat(calls, ' ', math.max(1, #calls - MOST_CALLS + 1))
keep_gate(ctx, g, g.keep)
pass_due(ctx)
settle_lines(ctx)
write_gates(ctx)
commit(ctx)
return { 'ok', g.state or 'closed' }
