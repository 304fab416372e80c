-- Brings a process and the server to agree on what its session has, after the server has forgotten its newest writes.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] how many ids follow of which the process knows nothing
-- ARGV[4...] these ids, which are given up; then id and fence pairs of what the process believes to hold
-- reply: ok [<id that the session has>...] [<id that it believes to hold and does not>...]
-- reply: session_lost
-- Keeps: only what is the session's own is touched.
--@flags allow-oom
--@include lib/settle_lines
--@include lib/give_up
--@include lib/lapse
--@include lib/owner
--@include lib/commit
local MAX_SHOWN = 250
local ctx = open(KEYS[1], ARGV[1])
local session, count = ARGV[2], tonumber(ARGV[3])
if not live(ctx, session) then
  return { 'session_lost' }
end
refresh(ctx, session)
local owns = ctx.p .. K_OWNS .. session
for i = 4, 3 + count do
  local r = load(ctx, ARGV[i])
  local ours = r and r.session == session
  if ours and r.state == 'running' and r.started then
    -- It was begun under this session, and given up: a job that always ends like that must not be begun for ever.
    lapse(ctx, r, 'its process knows nothing of it')
  elseif ours and (r.state == 'waiting' or r.state == 'held' or r.state == 'running') then
    give_up(ctx, r, 'its process knows nothing of it')
  end
  redis.call('SREM', owns, ARGV[i])
end
settle_lines(ctx)
local missing = {}
for i = 4 + count, #ARGV, 2 do
  local r = load(ctx, ARGV[i])
  if not r or r.session ~= session or r.fence ~= ARGV[i + 1] or (r.state ~= 'held' and r.state ~= 'running') then
    missing[#missing + 1] = ARGV[i]
  end
end
commit(ctx)
return { 'ok', redis.call('SRANDMEMBER', owns, MAX_SHOWN), missing }
