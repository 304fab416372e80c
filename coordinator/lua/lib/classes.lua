-- The ready jobs of a queue that is shared by weights, once more by priority: `class:bulk:0` has those that are LOW. It is an
-- index of `ready:bulk`, which goes on to be the truth. It is kept up by whoever puts a job there or takes one away, as
-- long as `meta` has a mark that anything is shared; else nobody looks.
local function class_of(queue, priority)
  return K_CLASS .. queue .. ':' .. tostring(priority)
end

local function is_shared(ctx, queue)
  if not ctx.shares then
    return false
  end
  ctx.sharing = ctx.sharing or {}
  if ctx.sharing[queue] == nil then
    ctx.sharing[queue] = redis.call('HEXISTS', ctx.p .. K_SHARES, queue) == 1
  end
  return ctx.sharing[queue]
end

-- Out of all of them: where a job stands is where its priority was when it came.
local function unclassify(ctx, queue, ...)
  if is_shared(ctx, queue) then
    for priority = 0, 4 do
      redis.call('ZREM', ctx.p .. class_of(queue, priority), ...)
    end
  end
end
