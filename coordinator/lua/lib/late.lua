-- When a claim takes no more jobs. How many of them keep the server busy for how long depends on the machine, and on what
-- they need: 64 with needs took 3 ms of one, and 7 ms of another.
-- The clock is read after every 8 of the heads it has `seen`, and 2 ms after the first time it ends.
local function is_late(ctx, seen)
  if seen % 8 ~= 0 then
    return false
  end
  local us = ctx.clock_us()
  ctx.claim_until = ctx.claim_until or us + 2000
  return us >= ctx.claim_until
end
