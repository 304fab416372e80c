-- A claim takes most of its jobs from one handler and queue, and looks at their gates once: as many more pass as there is
-- room for, where nobody waits and no breaker has anything to say. What those take is reckoned all at once, before anybody
-- looks at a gate again. `ctx.run` is there only while jobs are claimed.
--@include lib/bucket
local run = {}

run.over = function(ctx)
  local now = ctx.run
  for _, g in ipairs(now and now.passed and now.gates or {}) do
    if g.kind ~= 'breaker' then
      take_token(ctx, g, now.passed)
    end
  end
  ctx.run = now and {}
end

-- The one that a job belongs to.
run.of = function(ctx, name, queue)
  local now = ctx.run
  return now and now.handler == name and now.queue == queue and now.left > 0 and now
end

-- One of them passes.
run.pass = function(now)
  now.left, now.passed = now.left - 1, (now.passed or 0) + 1
end

run.begin = function(ctx, r, gates, left)
  if ctx.run and declared(ctx, r.name).gates then
    ctx.run = { handler = r.name, queue = r.queue, gates = gates, left = left }
  end
end
