-- The one way a request ends. It leaves its place, frees its dedup key, gives its record a time to live, and tells
-- whoever waits for it. Resources it held or waited for are touched, so `settle_lines` hands them on.
--@include lib/move
--@include lib/places
--@include lib/payload
--@include lib/send
--@include lib/by_owner
local function free_dedup(ctx, r)
  if r.dedup and r.scope ~= 'ttl' then
    local key = ctx.p .. K_DEDUP .. r.dedup
    local owner = redis.call('GET', key)
    local ours = owner and string.match(owner, '^%S+') == r.id
    if ours and r.scope == 'until_stale' and r.state == 'succeeded' then
      -- From here on its result is an answer, for a time.
      redis.call('SET', key, r.id .. ' ' .. text(ctx.now + r.ttl_ms), 'PX', r.ttl_ms)
    elseif ours then
      redis.call('DEL', key)
    end
  end
end

-- How long the record stays. A dedup key that is held for a time must find it until then, or its duplicates get in.
local function kept_for(ctx, r, keep)
  if r.dedup and (r.scope == 'ttl' or r.scope == 'until_stale') then
    local key = ctx.p .. K_DEDUP .. r.dedup
    if string.match(redis.call('GET', key) or '', '^%S*') == r.id then
      return math.max(keep, redis.call('PTTL', key))
    end
  end
  return keep
end

local function tell_watchers(ctx, r)
  local key = ctx.p .. K_WATCH .. r.id
  for _, session in ipairs(redis.call('SMEMBERS', key)) do
    send(ctx, session, 'ended ' .. r.id .. ' ' .. r.state)
  end
  redis.call('DEL', key)
end

-- The record of a request that is over goes by itself, and all that is kept with it; whoever waits for its end is told.
local function retain(ctx, r, keep)
  redis.call('PEXPIRE', ctx.p .. K_REQ .. r.id, keep)
  if r.needs and tonumber(r.needs) then
    redis.call('PEXPIRE', ctx.p .. K_NEEDS .. r.id, keep)
  end
  if r.note then
    local place = owner_place(ctx, r)
    if place then
      redis.call('ZREM', ctx.p .. place, r.id)
    end
    redis.call('PEXPIRE', ctx.p .. K_NOTE .. r.id, keep)
  end
  if r.watched then
    tell_watchers(ctx, r)
  end
end

local function finish(ctx, r, event, ...)
  leave_place(ctx, r)
  move(ctx, r, event, 'ended', now_text(ctx), ...)
  free_dedup(ctx, r)
  local keep = ctx.result_words
  if r.state == 'failed' or r.state == 'dead' then
    -- Longer than it is listed: the sweep that takes it off the list deletes the record.
    keep = text(ctx.dead_ms + 60000)
    redis.call('ZADD', ctx.p .. K_DEAD, now_text(ctx), r.id)
  elseif r.kind == 'job' then
    drop_payload(ctx, r)
  end
  retain(ctx, r, kept_for(ctx, r, keep))
end
