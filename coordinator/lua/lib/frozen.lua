-- Freezes: resources that are granted to nobody for a time, while everybody keeps their place. What is held stays held.
-- One is kept under its pattern, a resource or `path/**` for all below it too, as `<until ms> <since ms> <cursor> <call> <by>`
-- and the reason on another line. One that is over is thawed page by page from its cursor: the lines below it have to move on.
--@include lib/tree
--@include lib/defined
-- Resources in a subtree whose delays are looked at.
local DELAYED = 64
local CRASHES = { ['session lost'] = true, ['lease ended'] = true, ['run timeout'] = true }
local FREEZE = '^(%d+) (%d+) (%S+) (%S+) ([^\n]*)\n(.*)$'
local halts = {}

halts.freezes = function(ctx)
  if not ctx.freezes then
    ctx.freezes = {}
    local all = ctx.frozen and redis.call('HGETALL', ctx.p .. K_FREEZES) or {}
    for i = 1, #all, 2 do
      local ends, since, cursor, call, by, why = string.match(all[i + 1], FREEZE)
      if ends then
        table.insert(ctx.freezes, { pattern = all[i], ends = tonumber(ends), since = since, by = by, cursor = cursor,
          call = call, why = why })
      end
    end
  end
  return ctx.freezes
end

-- Whether a freeze keeps a resource from being granted; a subtree is kept by a freeze of anything in it.
local function stops(pattern, resource)
  return tree.covers(pattern, resource) or (tree.is(resource) and tree.covers(resource, tree.path_of(pattern) or pattern))
end

-- The freeze that keeps a resource from being granted now, if any.
local function freeze_on(ctx, resource)
  for _, one in ipairs(ctx.frozen and halts.freezes(ctx) or {}) do
    if one.ends > ctx.now and stops(one.pattern, resource) then
      return one
    end
  end
end

-- The delay after a crash that keeps a resource from being granted now, in the words of a freeze.
local function delay_on(ctx, resource)
  local ends, lost = string.match(defined.of(ctx, resource).delayed or '', '^(%d+) (%S+)$')
  if ends and tonumber(ends) > ctx.now then
    return { pattern = resource, ends = tonumber(ends), by = '', why = 'lock_delay after the loss of ' .. lost }
  end
end

-- The same for a delay of a subtree around a resource, or of something in a subtree: the one who crashed may still write there.
local function delay_around(ctx, resource)
  local names, below = tree.names(resource), {}
  local found = names[1] and redis.call('ZMSCORE', ctx.p .. K_DELAYS, unpack(names)) or {}
  if tree.is(resource) then
    local path = string.sub(resource, 1, -4)
    below = redis.call('ZRANGEBYLEX', ctx.p .. K_DELAYS, '[' .. path .. '/', '(' .. path .. '/\255', 'LIMIT', 0, DELAYED)
    below[#below + 1] = path
  end
  for i, name in ipairs(names) do
    below[#below + 1] = found[i] and name or nil
  end
  for _, name in ipairs(below) do
    local delay = delay_on(ctx, name)
    if delay then
      return delay
    end
  end
  -- Of so many that are over, but not ended yet, the sweep ends some more.
  return #below > DELAYED and { pattern = resource, ends = ctx.now, by = '', why = 'lock_delay of many below' } or nil
end

-- Whether a request may not have a resource for a freeze, or for a delay. Somebody with the right to may have let it pass.
halts.bar = function(ctx, r, resource)
  return not r.passes and (ctx.frozen and freeze_on(ctx, resource) or ctx.defined and delay_on(ctx, resource)
    or ctx.delays and delay_around(ctx, resource))
end

-- After a crash a resource may be granted to nobody for a time (`lock_delay`), so that what its holder still has under way comes
-- to an end. Its end stands among the clocks of requests, where no id begins as it does.
halts.note_delay = function(ctx, resource, ends)
  redis.call('ZADD', ctx.p .. K_DEADLINES, ends, '!' .. resource)
  redis.call('ZADD', ctx.p .. K_DELAYS, '0', resource)
  redis.call('HSET', ctx.meta, 'delays', '1')
  ctx.delays = '1'
end

halts.delay = function(ctx, r, why)
  for _, need in ipairs(ctx.defined and CRASHES[why] and needs_of(ctx, r) or {}) do
    local known = defined.of(ctx, need.resource)
    if known.lock_delay then
      local ends = text(ctx.now + tonumber(known.lock_delay))
      known.delayed = ends .. ' ' .. r.id
      redis.call('HSET', ctx.p .. K_DEF .. need.resource, 'delayed', known.delayed)
      halts.note_delay(ctx, need.resource, ends)
    end
  end
end

-- Ends the delay that a clock is for. Returns whether it is for one.
halts.end_delay = function(ctx, clock)
  local resource = string.match(clock, '^!(.+)$')
  if resource then
    redis.call('ZREM', ctx.p .. K_DEADLINES, clock)
    redis.call('HDEL', ctx.p .. K_DEF .. resource, 'delayed')
    redis.call('ZREM', ctx.p .. K_DELAYS, resource)
    if redis.call('EXISTS', ctx.p .. K_DELAYS) == 0 then
      ctx.delays = nil
      redis.call('HDEL', ctx.meta, 'delays')
    end
    defined.of(ctx, resource).delayed = nil
    touch(ctx, resource)
    if tree.is(resource) and not ctx.trees then
      -- Nobody uses it any more, but lines below have waited.
      ctx.trees = '1'
      redis.call('HSET', ctx.meta, 'trees', 1)
    end
    tree.loosen(ctx, resource)
  end
  return resource
end
