-- Takes a spare job back from its worker, without burning an attempt or a token. It is at its place again and begins
-- nowhere until it is claimed under a new fence: whoever had it, and does not know it yet, is told `stale`.
--@include lib/admit
--@include lib/enqueue
--@include lib/finish
--@include lib/rerun
local function take_back_spare(ctx, r)
  send(ctx, r.session, 'lost ' .. r.id .. ' ' .. r.fence)
  for _, g in ipairs(ctx.gates and gates_of(ctx, r) or {}) do
    if g.kind ~= 'breaker' then
      take_token(ctx, g, -1)
    end
  end
  local over = r.cancel or (superseded(ctx, r) and 'superseded by a newer one')
  if over then
    finish(ctx, r, 'cancel', 'why', over)
    return
  end
  leave_place(ctx, r)
  move(ctx, r, 'give_back')
  redis.call('HDEL', ctx.p .. K_REQ .. r.id, 'session', 'since', 'expires')
  enqueue(ctx, r)
end
