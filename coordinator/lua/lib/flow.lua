-- Locks that are taken one by one by the same piece of work. They are one flow, known by the id of the first: whoever
-- waits for a lock of the flow waits for all that the flow itself waits for. The nested requests that wait are listed by
-- flow, and all together in `nested`, by since when.
--@include lib/context
--@include lib/request
local function flow_of(r)
  return r.flow or r.id
end

-- The flow of what is asked for while the lock of request `id` is held, or waited for; of no id, none.
local function flow_within(ctx, id)
  local first = id ~= '' and load(ctx, id)
  local stands = first and (first.state == 'held' or first.state == 'waiting' or first.state == 'running')
  return stands and flow_of(first) or nil
end

local function note_nested(ctx, r)
  if r.flow then
    redis.call('SADD', ctx.p .. K_FLOW .. r.flow, r.id)
    redis.call('ZADD', ctx.p .. K_NESTED, text(ctx.now), r.id)
    redis.call('HSET', ctx.meta, 'nested', 1)
  end
end

-- It waits no longer, however that ended.
local function forget_nested(ctx, r)
  if r.flow then
    redis.call('SREM', ctx.p .. K_FLOW .. r.flow, r.id)
    redis.call('ZREM', ctx.p .. K_NESTED, r.id)
    if redis.call('EXISTS', ctx.p .. K_NESTED) == 0 then
      redis.call('HDEL', ctx.meta, 'nested')
    end
  end
end
