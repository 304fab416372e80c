-- The server's wall clock in microseconds. A fragment of its own so that tests can put another clock in its place.
local function server_us()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
