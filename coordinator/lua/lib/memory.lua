-- How near the server is to the end of its memory, as `policy.shed` has it: 0 far, 1 LOW is refused, 2 also NORMAL, 3 whatever
-- is new. The sweep asks the server (7 us, once a second), and a mark in `meta`, which every script reads, says so while it
-- is above 0: `<level> <used> <ceiling> <ms>`. Without a mark all of this is a comparison.
--@include lib/emit
--@include lib/server_memory
-- A mark is believed for so long: where nobody sweeps any more, who comes asks the server itself.
local BELIEVED_MS = 15000

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

-- The sweep's look.
local function watch_memory(ctx)
  local before = read_mark(ctx.memory_mark)
  local found = ctx.memory_terms and measured(ctx, before and before.level or 0)
  if found and found.level > 0 then
    redis.call('HSET', ctx.meta, 'memory', table.concat({ found.level, text(found.used), text(found.ceiling), text(ctx.now) }, ' '))
  elseif ctx.memory_mark then
    redis.call('HDEL', ctx.meta, 'memory')
  end
  if found and found.level ~= (before and before.level or 0) then
    emit(ctx, 'overload', '~memory', 'level', found.level, 'count', text(found.used), 'limit', text(found.ceiling))
  end
end

-- Why a request of that priority, as a number, is not let in, or nil.
local function memory_full(ctx, priority)
  local mark = ctx.memory_terms and read_mark(ctx.memory_mark)
  if mark and mark.at + BELIEVED_MS < ctx.now then
    mark = measured(ctx, mark.level)
  end
  if mark and (mark.level == 3 or priority < mark.level) then
    local level = math.min(mark.level, priority + 1)
    return { 'memory_full', text(mark.used), text(mark.ceiling), text((memory_band(ctx, math.min(level, 3), mark.ceiling))) }
  end
end
