-- Stores answers that somebody knows already, each as a job that has succeeded.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] the last session that was told, or empty at first
-- ARGV[3] name of the handler
-- ARGV[4] ms for which they are good
-- ARGV[5...] per answer: dedup key, id, result
-- reply: ok <the last session told, or empty if all were>
-- Keeps: a repeated call stores nothing again. What was there is replaced, in the copies of all processes too.
--@include lib/near
--@include lib/move
--@include lib/commit
local ctx = open(KEYS[1], ARGV[1])
local ttl, keys = tonumber(ARGV[4]), {}
-- The one record that is born at its end: no job ran, so there is no move to it.
local function store(key, id, result)
  local r = { id = id, state = 'succeeded' }
  write(ctx, r, 'stamp', text(draw(ctx)), 'name', ARGV[3], 'ended', text(ctx.now), 'dedup', key,
    'scope', 'until_stale', 'ttl_ms', text(ttl))
  redis.call('PEXPIRE', ctx.p .. K_REQ .. id, ttl)
  if result ~= '' then
    redis.call('SET', ctx.p .. K_RESULT .. id, result, 'PX', ttl)
  end
  redis.call('SET', ctx.p .. K_DEDUP .. key, id .. ' ' .. text(ctx.now + ttl), 'PX', ttl)
end

for i = 5, #ARGV, 3 do
  keys[#keys + 1] = ARGV[i]
  if redis.call('EXISTS', ctx.p .. K_REQ .. ARGV[i + 1]) == 0 then
    store(ARGV[i], ARGV[i + 1], ARGV[i + 2])
  end
end
local last = tell_near(ctx, ARGV[2], keys)
commit(ctx)
return { 'ok', last }
