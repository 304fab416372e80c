-- The bytes that the server uses, and its `maxmemory` (0: none).
local function server_memory()
  local info = redis.call('INFO', 'memory')
  return tonumber(string.match(info, 'used_memory:(%d+)') or 0), tonumber(string.match(info, 'maxmemory:(%d+)') or 0)
end
