-- Asks for a lock on all of some resources: granted at once, or waiting in all their lines.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] session id
-- ARGV[3] request id
-- ARGV[4] priority
-- ARGV[5] needs
-- ARGV[6] wait | try | again: a try sent before | adaptive: wait, and nobody chose how long | steal: wait, in a full line too
-- ARGV[7] longest wait in ms, or empty
-- ARGV[8] longest hold in ms
-- ARGV[9] owner
-- ARGV[10] reason
-- ARGV[11] metadata as JSON, or empty
-- ARGV[12] rule that chose the priority, or empty
-- ARGV[13] id of a request whose lock is held meanwhile, or empty
-- ARGV[14] ms below which a wait that nobody chose does not shrink, or empty
-- ARGV[15] what less urgent holders are asked: ask | cancel <grace ms>, or empty
-- reply: granted <id> <fence> <ms that are left of the lease>
-- reply: waiting <id> [<ms that it may wait, if they are fewer than asked for>]
-- reply: busy <resource>
-- reply: memory_full <bytes used> <ceiling> <below so many it is let in>
-- reply: line_overloaded <resource> <waiters> <limit> <below so many it is let in> <ms that the middle one has waited> <place it would have>
-- reply: line_full <resource> <limit>
-- reply: over_capacity <resource> <capacity>
-- reply: conflict <id>
-- reply: not_within <id that ARGV[13] names>
-- reply: ended <id> <state> <why; if it was displaced from a line the figures of `line_overloaded`, and the line>
-- reply: deadlock <id of each request in the circle, with commas between>
-- reply: session_lost
-- Keeps: all or nothing; a refusal writes nothing; a repeated call answers as the first did.
--@include lib/settle_lines
--@include lib/grant_plain
--@include lib/owner
--@include lib/commit
--@include lib/blocked
--@include lib/untangle
--@include lib/preempt
local granted, ctx, found = begin_request(KEYS[1], ARGV[1], ARGV)
if granted then
  return granted
end
local session, id, again, try = ARGV[2], ARGV[3], ARGV[6] == 'again', ARGV[6] == 'again' or ARGV[6] == 'try'
if not live(ctx, session) then
  return { 'session_lost' }
end

local function answer(r)
  local taken = try and string.match(r.why or '', '^not free: (.*)')
  if taken then
    return { 'busy', taken }
  elseif r.state == 'held' then
    return { 'granted', id, r.fence, text(math.max(0, r.expires - ctx.now)) }
  elseif r.state == 'waiting' then
    return { 'waiting', id, string.match(r.shrunk or '', '^%d+') }
  end
  return { 'ended', id, r.state, r.shed and r.shed .. ' ' .. r.shed_from or r.why or '' }
end
local before = found > 2 and load(ctx, id)
if before then
  if before.kind ~= 'lock' or needs_text(ctx, before) ~= ARGV[5] then
    return { 'conflict', id }
  elseif before.session ~= session and (before.state == 'held' or before.state == 'waiting') then
    -- The process has a new session, so it has given up the one it asked under, and with it what it asked for. To show
    -- it a lease of the old session would make it trust what the next eviction takes.
    lapse(ctx, before, 'session lost')
    settle_lines(ctx)
    commit(ctx)
  end
  return answer(before)
end
local r = { id = id, kind = 'lock', state = 'new', priority = tonumber(ARGV[4]), stamp = draw(ctx), session = session,
  needs = ARGV[5], needs_list = parse_needs(ARGV[5]), hold_ms = tonumber(ARGV[8]), flow = flow_within(ctx, ARGV[13]) }
local busy, clear = blocked(ctx, r)
-- Locks are small, and who has one finishes something: for want of memory they are refused only where all is.
local refusal = ARGV[13] ~= '' and not r.flow and { 'not_within', ARGV[13] } or memory_full(ctx, 4)
  or refused_needs(ctx, r, busy and not try and ARGV[6] ~= 'steal') or try and busy and not again and { 'busy', busy }
if refusal then
  watch_memory(ctx, 'refused')
  return refusal
end
local tangled = busy and not try and (r.flow or ctx.nested)
local cycle = tangled and circles.ends_here(ctx, r)
if cycle then
  return { 'deadlock', cycle }
end
ctx.asking = id
watch_memory(ctx)
refresh(ctx, session)
note_crowds(ctx, r)
r.wait_by = ARGV[7] ~= '' and ctx.now + shrink(r, tonumber(ARGV[7]), tonumber(ARGV[14] or ''))
r.first = record(ctx, r, ARGV[5], ARGV[9], ARGV[10], ARGV[11])
put(r.first, 'kind', 'lock', 'session', session, 'hold_ms', ARGV[8], 'rule', ARGV[12], 'flow', r.flow,
  'learnt', ARGV[6] == 'adaptive' and ARGV[7], 'preempt', ARGV[15])
redis.call('SADD', ctx.p .. K_OWNS .. session, id)
arrive(ctx, r, 'ask', 'session', session)
if clear then
  register(ctx, r)
  grant(ctx, r)
elseif again and busy then
  write(ctx, r)
else
  write(ctx, r)
  watch_clock(ctx, r)
  join_lines(ctx, r)
  note_nested(ctx, r)
  if tangled then
    circles.untangle(ctx, r)
  end
  settle_lines(ctx)
  r = load(ctx, id)
  preempt.ask(ctx, r)
end
if try and r.state == 'waiting' then
  -- A dead worker's job went back before us; or an earlier copy is on its way, and must find an answer, not a grant.
  r.why = 'not free: ' .. (busy or needs_of(ctx, r)[1].resource)
  finish(ctx, r, 'cancel', 'why', r.why)
  settle_lines(ctx)
end
commit(ctx)
return answer(r)
