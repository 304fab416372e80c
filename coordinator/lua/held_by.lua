-- What an owner holds or waits for, in order of id and page by page.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] owner
-- ARGV[3] requests after this id, or empty
-- ARGV[4] how many requests
-- reply: ok <now ms> <how many there are> <where this page ended, empty if it was the last> [<request>]... ; request: [[<person>], us when it was asked, fence or empty, ms at which its lease ends or empty, [[resource, mode, permits]...]]
-- Keeps: nothing is written.
--@flags no-writes
--@include lib/request
--@include lib/by_owner
--@include lib/person
local ctx = open(KEYS[1], ARGV[1])
local place = owner_place(ctx, nil, ARGV[2])
local found = {}

local function show(r)
  local needs, has = {}, r.state == 'held' or r.state == 'running'
  for i, need in ipairs(needs_of(ctx, r)) do
    needs[i] = { need.resource, need.mode, need.permits }
  end
  return { person(ctx, r.id), text(r.stamp or 0), has and r.fence or '', r.state == 'held' and text(r.expires) or '', needs }
end

local after, most = ARGV[3] == '' and '-' or '(' .. ARGV[3], tonumber(ARGV[4])
local ids = redis.call('ZRANGEBYLEX', ctx.p .. place, after, '+', 'LIMIT', 0, most)
for _, id in ipairs(ids) do
  local r = load(ctx, id)
  found[#found + 1] = r and show(r)
end
return { 'ok', text(ctx.now), redis.call('ZCARD', ctx.p .. place), #ids == most and ids[most] or '', found }
