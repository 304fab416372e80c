-- Puts right what the audits find, by the same steps that normal operation takes. What cannot be known any more is
-- not guessed: a request that has lost its needs or its payload ends, and says why.
--@include lib/whereabouts
--@include lib/dedup_audit
--@include lib/sweep
--@include lib/mend_hold
--@include lib/needs_lost
--@include lib/by_owner
local function mend_key(ctx, key)
  local value = redis.call('GET', ctx.p .. K_DEDUP .. key)
  local till = tonumber(string.match(value, ' (%d+)$'))
  if till and till > ctx.now then
    redis.call('PEXPIRE', ctx.p .. K_DEDUP .. key, text(till - ctx.now))
  else
    redis.call('DEL', ctx.p .. K_DEDUP .. key)
  end
end

local function mend_final(ctx, r)
  local keep = ctx.result_ms
  if r.state == 'failed' or r.state == 'dead' then
    keep = ctx.dead_ms + 60000
    redis.call('ZADD', ctx.p .. K_DEAD, 'NX', text(ctx.now), r.id)
  end
  for _, family in ipairs({ K_REQ, K_NEEDS, K_NOTE }) do
    if redis.call('PTTL', ctx.p .. family .. r.id) == -1 then
      redis.call('PEXPIRE', ctx.p .. family .. r.id, text(keep))
    end
  end
end

local function line_up_again(ctx, r)
  if r.kind == 'lock' then
    redis.call('SADD', ctx.p .. K_OWNS .. r.session, r.id)
    watch_clock(ctx, r)
    join_lines(ctx, r)
    note_nested(ctx, r)
    return
  elseif r.state == 'ready' then
    withdraw(ctx, r)
  elseif r.gate then
    redis.call('ZREM', ctx.p .. K_GATED .. r.gate .. ':' .. r.queue, r.id)
    redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'gate', 'gated')
  end
  if not r.needs then
    redis.call('ZREM', ctx.p .. K_WAITING .. r.queue, r.id)
  end
  enqueue(ctx, r)
end

-- What has been lost with no way back ends the request. A running job has its payload in the worker's hands.
local function lost_for_good(ctx, r)
  if needs_lost(ctx, r) then
    return 'its needs were lost'
  elseif r.kind == 'job' and r.state ~= 'running' and not payload_of(ctx, r) then
    return 'its payload was lost'
  end
end

local function mend_live(ctx, r)
  for _, family in ipairs({ K_REQ, K_NEEDS, K_NOTE }) do
    redis.call('PERSIST', ctx.p .. family .. r.id)
  end
  if r.queue then
    redis.call('SADD', ctx.p .. K_QUEUES, r.queue)
  end
  local place = owner_place(ctx, r)
  if place then
    redis.call('ZADD', ctx.p .. place, 0, r.id)
  end
  local why, has = lost_for_good(ctx, r), r.state == 'held' or r.state == 'running'
  local clock = tonumber(redis.call('ZSCORE', ctx.p .. K_DEADLINES, r.id) or nil)
  if why then
    finish(ctx, r, r.state == 'held' and 'lose' or 'cancel', 'why', why)
  elseif (r.kind == 'lock' or r.state == 'running') and not live(ctx, r.session) then
    lapse(ctx, r, 'session lost')
  elseif clock and clock <= ctx.now then
    clock_ran_out(ctx, r.id)
  elseif has then
    hold_again(ctx, r)
  elseif r.state ~= 'scheduled' then
    line_up_again(ctx, r)
  elseif tonumber(redis.call('ZSCORE', ctx.p .. K_SCHEDULED, r.id) or 0) <= ctx.now then
    requeue(ctx, r.id)
  else
    watch_clock(ctx, r)
  end
end

local function mend_request(ctx, id, seen)
  local r = load(ctx, id)
  local life = r and life_of(r.state)
  if r and not life then
    return
  end
  each_wrong_key(ctx, r, id, seen, function(key) mend_key(ctx, key) end)
  for _, place in ipairs(improper_places(ctx, r, id, r and proper_places(ctx, r) or {}, seen)) do
    remove_from(ctx, place, id)
  end
  if not r then
    redis.call('DEL', ctx.p .. K_REQ .. id, ctx.p .. K_NEEDS .. id, ctx.p .. K_NOTE .. id)
  elseif life == 'final' then
    mend_final(ctx, r)
  else
    mend_live(ctx, r)
  end
end
