-- Takes back jobs that a worker had offered, for it can begin them now.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] number of this call, counted by the worker together with those of `spare`
-- ARGV[4...] id and fence pairs
-- reply: ok <id of a job that is still the worker's>...
-- reply: session_lost
-- Keeps: what is answered here is nobody else's, and an older offer of it that comes later is refused.
--@flags allow-oom
--@include lib/spare
--@include lib/in_turn
--@include lib/request
--@include lib/send
local ctx = open(KEYS[1], ARGV[1])
local session, reply = ARGV[2], { 'ok' }
if not live(ctx, session) then
  return { 'session_lost' }
end
in_turn(ctx, session, tonumber(ARGV[3]))
for i = 4, #ARGV, 2 do
  local r = load(ctx, ARGV[i])
  if r and r.state == 'running' and r.session == session and r.fence == ARGV[i + 1] then
    if r.spare then
      no_longer_spare(ctx, r)
    end
    reply[#reply + 1] = r.id
  end
end
return reply
