-- A user's text as it may stand in a key, as `keys.encode` does it; a longer one is known by its digest.
local LONGEST_IN_KEY = 64

local function encoded(value)
  local plain = string.gsub(value, '[^%w/._@+=,-]', function(c) return string.format('%%%02X', string.byte(c)) end)
  return #plain <= LONGEST_IN_KEY and plain or redis.sha1hex(value)
end
