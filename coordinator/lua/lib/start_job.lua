-- Notes that the handler of a claimed job has really begun: only now does the attempt count, and its wait is over.
--@include lib/request
local function start_job(ctx, id, fence)
  local r = load(ctx, id)
  local key = ctx.p .. K_REQ .. id
  if r and r.state == 'running' and r.fence == fence and redis.call('HSETNX', key, 'started', now_text(ctx)) == 1 then
    redis.call('HINCRBY', key, 'attempts', 1)
    end_wait(ctx, r)
  end
end
