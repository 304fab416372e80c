-- The next clock of a request that is not running or held: the end of its wait, or of its whole life.
--@include lib/context
local function watch_clock(ctx, r)
  local by = r.wait_by
  if r.end_by and (not by or r.end_by < by) then
    by = r.end_by
  end
  if by then
    redis.call('ZADD', ctx.p .. K_DEADLINES, text(by), r.id)
  end
end
