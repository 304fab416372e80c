-- Ends what a session has, in good order and without blame: a held lock is released, a waiting request cancelled, a
-- running job handed back without burning an attempt.
--@include lib/settle_job
local function give_up(ctx, r, why)
  if r.state == 'held' then
    finish(ctx, r, 'release')
  elseif r.state == 'waiting' then
    finish(ctx, r, 'cancel', 'why', why)
  else
    settle_job(ctx, r.session, r.id, r.fence, 'released', 0, '')
  end
end
