-- Whether a job may pass all its gates now, and what it takes from them when it does.
--@include lib/breaker
--@include lib/bucket
--@include lib/payload
--@include lib/encoded
--@include lib/run

-- The payload without the envelope of a signature (model/signing): a mark of two bytes, kind, length and name of a key,
-- 32 bytes.
local function bare(payload)
  if string.byte(payload) == 193 then
    return string.sub(payload, 37 + (string.byte(payload, 4) or 0))
  end
  return payload
end

-- The value of a field of the payload that a limit goes by. Jobs that have none share one limit.
local function key_of(ctx, r, field)
  local packed = payload_of(ctx, r)
  local readable, value = pcall(cmsgpack.unpack, packed and bare(packed) or '')
  value = readable and type(value) == 'table' and value[field]
  if type(value) == 'string' or type(value) == 'number' then
    return '~' .. encoded(type(value) == 'number' and string.format('%.17g', value) or value)
  end
  return ''
end

-- The gates of a job, read once for each script; those of a handler without keys are the same for all its jobs.
local function gates_of(ctx, r)
  local known = declared(ctx, r.name)
  if known.gates then
    return known.gates
  end
  local found, keyed = {}, false
  for i, one in ipairs(known) do
    found[i] = gate(ctx, one.field and one.name .. key_of(ctx, r, one.field) or one.name, one.terms)
    keyed = keyed or one.field
  end
  known.gates = not keyed and found
  return found
end

local function room_at(ctx, g)
  if g.kind == 'breaker' then
    return breaker_room(ctx, g)
  end
  return limit_room(ctx, g)
end

-- The rank of the first that waits at a gate. Who comes later stands behind it, though there may be room by now: the
-- gate's clock lets it through first.
local function first_at(ctx, g, queue)
  local heads = memory(ctx).heads[queue] or {}
  ctx.memory.heads[queue] = heads
  if not heads[g.name] and not ctx.clocked then
    -- Where anybody waits there is a clock.
    heads[g.name] = math.huge
  elseif not heads[g.name] then
    local first = redis.call('ZRANGE', ctx.p .. K_GATED .. g.name .. ':' .. queue, 0, 0, 'WITHSCORES')
    heads[g.name] = tonumber(first[2]) or math.huge
  end
  return heads[g.name]
end

-- A job that one gate had room for is held at another: the next may have it. Once for each gate in a script.
local function give_room(ctx, g)
  if not g.woken and room_at(ctx, g) ~= math.huge then
    g.woken = true
    wake(ctx, g.name)
  end
end

-- A rank is made up of text and read again: not where nobody waits.
local function stands_behind(ctx, r, first)
  return first ~= math.huge and tonumber(rank_of(ctx, r)) > first
end

-- The first gate that does not let the job pass, if any.
local function closed_gate(ctx, r)
  if not ctx.gates or run.of(ctx, r.name, r.queue) then
    return nil
  end
  run.over(ctx)
  local gates, left = gates_of(ctx, r), math.huge
  for i, g in ipairs(gates) do
    local room, first = room_at(ctx, g), first_at(ctx, g, r.queue)
    if room < 1 or stands_behind(ctx, r, first) then
      for before = 1, i - 1 do
        give_room(ctx, gates[before])
      end
      return g
    end
    left = first == math.huge and not g.state and math.min(left, room) or 0
  end
  run.begin(ctx, r, gates, left)
end

local function pass_gates(ctx, r, fence)
  local now = run.of(ctx, r.name, r.queue)
  if now then
    run.pass(now)
  end
  if now or not ctx.gates then
    return
  end
  for _, g in ipairs(gates_of(ctx, r)) do
    if g.kind == 'breaker' then
      probe_begins(ctx, g, r.id, fence)
    else
      take_token(ctx, g, 1)
    end
  end
end
