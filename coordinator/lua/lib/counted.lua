-- Where the name of something that is counted stands. How long locks are held is no timeout, and is listed apart: it takes
-- none of the room that there is for those.
local function counted_in(name)
  return string.sub(name, 1, 5) == 'hold/' and K_HOLDS or K_TIMEOUTS
end
