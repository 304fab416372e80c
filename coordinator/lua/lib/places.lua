-- The places a request can be in, and the only code that puts it there or takes it away: the lines of its resources,
-- the holders of its resources, its queue, its session.
--@include lib/defined
--@include lib/offers
--@include lib/spare
--@include lib/flow
--@include lib/tree
--@include lib/plant
-- Returns whether nobody has or wants it. A line counts twice, so it is also known where nobody has it: `vacant`.
local function retire_resource(ctx, resource)
  tree.loosen(ctx, resource)
  local line = ctx.p .. K_LINE .. resource
  local found = redis.call('EXISTS', line, line, ctx.p .. K_HOLDERS .. resource)
  ctx.vacant = found == 2 and resource
  if found == 0 then
    redis.call('ZREM', ctx.p .. K_RESOURCES, resource)
  end
  return found == 0
end

local function register(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    redis.call('ZADD', ctx.p .. K_RESOURCES, '0', need.resource)
    if tree.is(need.resource) then
      listing.plant(ctx, need.resource)
    end
  end
end

local function join_lines(ctx, r)
  local rank = rank_of(ctx, r)
  register(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    redis.call('ZADD', ctx.p .. K_LINE .. need.resource, ctx.defined and defined.place(ctx, r, need.resource) or rank, r.id)
    touch(ctx, need.resource)
    tree.stir(ctx, need.resource, rank)
  end
  ctx.arrived[r.id] = true
end

local function leave_lines(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    redis.call('ZREM', ctx.p .. K_LINE .. need.resource, r.id)
    if not retire_resource(ctx, need.resource) then
      touch(ctx, need.resource)
    end
  end
end

-- Writes the request into the holders of all it needs. The caller has evicted whoever lapsed there, so it fits.
local function take(ctx, r, session, fence, expires)
  for _, need in ipairs(needs_of(ctx, r)) do
    redis.call('HSET', ctx.p .. K_HOLDERS .. need.resource, r.id,
      need.mode .. ' ' .. text(need.permits) .. ' ' .. fence .. ' ' .. session .. ' ' .. text(expires))
    if ctx.vacant == need.resource then ctx.vacant = false end
    tree.note_held(ctx, need.resource, need.mode)
  end
end

-- Out of the lines of what it has just taken. Who stands behind it on others than `walked`, the caller's, may come up.
local function step_out(ctx, r, walked)
  for _, need in ipairs(needs_of(ctx, r)) do
    redis.call('ZREM', ctx.p .. K_LINE .. need.resource, r.id)
    if need.resource ~= walked then
      touch(ctx, need.resource)
    end
  end
end

local function drop(ctx, r)
  for _, need in ipairs(needs_of(ctx, r)) do
    redis.call('HDEL', ctx.p .. K_HOLDERS .. need.resource, r.id)
    if not retire_resource(ctx, need.resource) then
      touch(ctx, need.resource)
    end
  end
end

-- Requests that sessions no longer own: noted one by one, and written by `settle_lines` for a whole batch at once.
local owners = {}
function owners.leave(ctx, session, id)
  local left = ctx.left[session] or {}
  left[#left + 1], ctx.left[session] = id, left
end

function owners.write(ctx)
  for session, left in pairs(ctx.left) do
    redis.call('SREM', ctx.p .. K_OWNS .. session, unpack(left))
    ctx.left[session] = nil
  end
end

-- Takes a request out of wherever its state says it is.
local function leave_place(ctx, r)
  if r.kind == 'lock' or r.needs or r.run_ms or r.wait_by or r.end_by then
    redis.call('ZREM', ctx.p .. K_DEADLINES, r.id)
  end
  if r.state == 'held' or r.state == 'running' then
    drop(ctx, r)
  elseif r.needs and (r.state == 'waiting' or r.state == 'ready') then
    leave_lines(ctx, r)
    forget_nested(ctx, r)
  end
  if r.kind == 'lock' or r.state == 'running' then
    owners.leave(ctx, r.session, r.id)
    if r.spare then
      no_longer_spare(ctx, r)
    end
  elseif r.state == 'scheduled' then
    redis.call('ZREM', ctx.p .. K_SCHEDULED, r.id)
  elseif r.state == 'ready' then
    write_offers(ctx)
    take_offers(ctx, r.queue, r.id)
  elseif r.state == 'waiting' then
    redis.call('ZREM', ctx.p .. K_WAITING .. r.queue, r.id)
    if r.gate then
      redis.call('ZREM', ctx.p .. K_GATED .. r.gate .. ':' .. r.queue, r.id)
    end
  end
end
