-- The newest entries of a stream, or those after one that is known; the oldest first.
local function page(ctx, key, after, count)
  if after ~= '' then
    return redis.call('XRANGE', ctx.p .. key, '(' .. after, '+', 'COUNT', count)
  end
  local newest, entries = redis.call('XREVRANGE', ctx.p .. key, '+', '-', 'COUNT', count), {}
  for i = #newest, 1, -1 do
    entries[#entries + 1] = newest[i]
  end
  return entries
end
