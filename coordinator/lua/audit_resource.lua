-- Looks at one resource, its holders and its line, and says what is wrong; with `fix` puts it right.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] resource
-- ARGV[3] fix | look
-- ARGV[4] grace in ms: what lapsed less long ago still counts as there
-- reply: ok [<fault>]...
-- Keeps: what is found is judged at one moment, and each call does bounded work.
--@flags allow-oom
--@include lib/audit_resource
--@include lib/mend_resource
--@include lib/settle_lines
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local faults = audit_resource(ctx, ARGV[2], tonumber(ARGV[4]))
if ARGV[3] == 'fix' and #faults > 0 then
  mend_resource(ctx, ARGV[2])
  settle_lines(ctx)
  commit(ctx)
end
return { 'ok', faults }
