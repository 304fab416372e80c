-- Looks at one request and says what is wrong with it; with `fix` puts it right.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] fix | look
-- ARGV[4] grace in ms: a session or clock that lapsed less long ago is the sweep's business, not a fault
-- ARGV[5...] places where the id was seen: keys without their prefix, such as `ready:default`
-- reply: ok [<fault>]...
-- Keeps: what is found is judged at one moment, so traffic in between is never mistaken for a fault.
--@flags allow-oom
--@include lib/audit
--@include lib/mend
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local seen = { unpack(ARGV, 5) }
local faults = audit_request(ctx, ARGV[2], tonumber(ARGV[4]), seen)
if ARGV[3] == 'fix' and #faults > 0 then
  mend_request(ctx, ARGV[2], seen)
  settle_lines(ctx)
  commit(ctx)
end
return { 'ok', faults }
