-- Takes a request out of its lines and its queue. A running job is told, unless it is spare and so has not begun.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] cancel | expire
-- ARGV[4] reason
-- ARGV[5] who does it, if it goes on record
-- reply: ok <state>
-- reply: told
-- reply: held <fence> <lease in ms>
-- reply: ended <state>
-- reply: gone
-- Keeps: a running job ends with its report or its worker. A lock that was granted meanwhile is not cancelled but shown,
-- so that no grant is lost.
--@flags allow-oom
--@include lib/settle_lines
--@include lib/audited
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local r, event = load(ctx, ARGV[2]), ARGV[3]
if not r then
  return { 'gone' }
end
if r.state == 'held' then
  return { 'held', r.fence, text(r.hold_ms) }
end
local function note(...)
  if ARGV[5] ~= '' then
    local resource, owner = told_of(ctx, r)
    audited(ctx, 'cancel', r.id, ARGV[5], ARGV[4], 'resource', resource, 'owner', owner, ...)
  end
end

local begun = r.state == 'running' and not r.spare
if begun then
  if r.cancel ~= ARGV[4] then
    note('fence', r.fence)
  end
  redis.call('HSET', ctx.p .. K_REQ .. r.id, 'cancel', ARGV[4])
  send(ctx, r.session, 'cancel ' .. r.id .. ' ' .. r.fence)
  return { 'told' }
end
local target = next_state('waiting', event)
if r.state == target then
  return { 'ok', r.state }
elseif not next_state(r.state, event) then
  return { 'ended', r.state }
end
local owner = r.kind == 'lock' and r.session
note('state', r.state)
if r.spare then
  send(ctx, r.session, 'lost ' .. r.id .. ' ' .. r.fence)
end
finish(ctx, r, event, 'why', ARGV[4])
send(ctx, owner, 'ended ' .. r.id .. ' ' .. r.state)
settle_lines(ctx)
commit(ctx)
return { 'ok', r.state }
