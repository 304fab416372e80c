-- Gives back a lock; whoever is next in line has it when this returns.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] request id
-- ARGV[3] fence
-- reply: ok [<message to the session of the caller that is in its inbox now>]...
-- reply: lost <state>
-- reply: gone
-- Keeps: only the holder of the newest fence can release; a repeated release answers as the first did.
--@flags allow-oom
--@include lib/settle_lines
--@include lib/release_plain
--@include lib/commit
local m, us = read_meta(KEYS[1])
local answer, r, left, vacant = release_plain(KEYS[1], m, us, ARGV)
if answer then
  return answer
end
local ctx = open(KEYS[1], ARGV[1], m, us)
if left then
  ctx.caller, ctx.news, ctx.stats.release, ctx.vacant = r.session, {}, 1, vacant and left
  touch(ctx, left)
  settle_lines(ctx)
  commit(ctx)
  return { 'ok', unpack(ctx.news) }
end
r = r or load(ctx, ARGV[2])
if not r or r.kind ~= 'lock' then
  return { 'gone' }
elseif r.fence ~= ARGV[3] then
  return { 'lost', r.state }
elseif r.state == 'released' then
  return { 'ok' }
elseif r.state ~= 'held' then
  return { 'lost', r.state }
end
ctx.caller, ctx.news = r.session, {}
finish(ctx, r, 'release')
settle_lines(ctx)
commit(ctx)
return { 'ok', unpack(ctx.news) }
