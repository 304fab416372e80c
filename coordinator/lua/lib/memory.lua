-- How near the server is to the end of its memory, as `policy.shed` has it: 0 far, 1 LOW is refused, 2 also NORMAL, 3 whatever
-- is new. The sweep asks the server (7 us, once a second), and where nobody sweeps, who hands something in. A mark in `meta`,
-- which every script reads, says so while it is above 0, `<level> <used> <ceiling> <ms>`, and `looked` when it was asked.
-- Until then, and without a mark, all of this is a comparison.
--@include lib/emit
--@include lib/server_memory
-- What the server said is believed for so long.
local BELIEVED_MS = 1000

local function read_mark(mark)
  local level, used, ceiling, at = string.match(mark or '', '^(%d) (%d+) (%d+) (%d+)$')
  return level and { level = tonumber(level), used = tonumber(used), ceiling = tonumber(ceiling), at = tonumber(at) }
end

local function share_of_bytes(mille, bytes)
  return math.ceil(mille * bytes / 1000)
end

-- Below which a level ends, and from which on it begins, in bytes.
local function memory_band(ctx, level, ceiling)
  local m = ctx.memory_terms
  local begins = ({ m.begins, math.floor((m.begins + 1000) / 2), 1000 })[level]
  return share_of_bytes(begins - m.begins + m.ends, ceiling), share_of_bytes(begins, ceiling)
end

local function measured(ctx, before)
  local used, limit = server_memory()
  local ceiling = ctx.memory_terms.bytes
  if ceiling == 0 then
    ceiling = share_of_bytes(ctx.memory_terms.share, limit)
  end
  local found = { level = 0, used = used, ceiling = ceiling, at = ctx.now }
  for level = 1, ceiling > 0 and 3 or 0 do
    local ends, begins = memory_band(ctx, level, ceiling)
    if used >= begins or (before >= level and used >= ends) then
      found.level = level
    end
  end
  return found
end

local function look_at_memory(ctx)
  local before = read_mark(ctx.memory_mark)
  ctx.look = measured(ctx, before and before.level or 0)
  ctx.look.changed = ctx.look.level ~= (before and before.level or 0)
end

-- Writes down what this script was told, if it asked; the sweep always does. One that refuses and would leave all as it was
-- writes only another level than before: else where it ends would not depend on where it began.
local function watch_memory(ctx, who)
  if who == 'sweep' and ctx.memory_terms then
    look_at_memory(ctx)
  elseif who == 'sweep' and ctx.memory_mark then
    redis.call('HDEL', ctx.meta, 'memory')
  end
  local found = ctx.look
  if not found or (who == 'refused' and not found.changed) then
    return
  end
  local mark = { 'looked', text(ctx.now) }
  if found.level > 0 then
    mark[3] = 'memory'
    mark[4] = table.concat({ found.level, text(found.used), text(found.ceiling), text(ctx.now) }, ' ')
  elseif ctx.memory_mark then
    redis.call('HDEL', ctx.meta, 'memory')
  end
  redis.call('HSET', ctx.meta, unpack(mark))
  if found.changed then
    emit(ctx, 'overload', '~memory', 'level', found.level, 'count', text(found.used), 'limit', text(found.ceiling))
  end
end

-- Why a request of that priority, as a number, is not let in, or nil.
local function memory_full(ctx, priority)
  if not ctx.memory_terms then
    return nil
  elseif not ctx.look and ctx.now - ctx.looked >= BELIEVED_MS then
    look_at_memory(ctx)
  end
  local mark = ctx.look or (ctx.memory_mark and read_mark(ctx.memory_mark))
  if mark and mark.level > 0 and (mark.level == 3 or priority < mark.level) then
    local level = math.min(mark.level, priority + 1)
    return { 'memory_full', text(mark.used), text(mark.ceiling), text((memory_band(ctx, math.min(level, 3), mark.ceiling))) }
  end
end
