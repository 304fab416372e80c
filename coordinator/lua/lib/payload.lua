-- A job's payload. A short one stands in the record in two pieces, because a field above 64 bytes would blow up the
-- hash: measured, a job with 100 bytes takes 410 bytes that way and 490 with its payload apart. Longer ones lie apart.
--@include lib/request
local function put_payload(ctx, id, payload, fields)
  if #payload > 2 * SHORT then
    redis.call('HSET', ctx.p .. K_PAYLOADS, id, payload)
    return
  end
  fields[#fields + 1], fields[#fields + 2] = 'data', string.sub(payload, 1, SHORT)
  if #payload > SHORT then
    fields[#fields + 1], fields[#fields + 2] = 'data2', string.sub(payload, SHORT + 1)
  end
end

-- False if it has none any more.
local function payload_of(ctx, r)
  return r.data and r.data .. (r.data2 or '') or redis.call('HGET', ctx.p .. K_PAYLOADS, r.id)
end

local function drop_payload(ctx, r)
  if r.data then
    redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'data', 'data2')
    r.data, r.data2 = nil, nil
  else
    redis.call('HDEL', ctx.p .. K_PAYLOADS, r.id)
  end
end
