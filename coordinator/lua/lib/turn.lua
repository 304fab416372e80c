-- Puts a line into the order of another mode, a page in each script. Meanwhile nobody is granted the resource: between two
-- orders nobody would know whose turn it is.
--@include lib/defined
--@include lib/tree
--@include lib/leftovers
local TURN_PAGE = 128

-- Returns whether all of it is done. In the order of their hash, which new scores do not change.
local function turn_some(ctx, resource, known)
  local line = ctx.p .. K_LINE .. resource
  local key = ctx.p .. K_DEF .. resource
  local page = redis.call('ZSCAN', line, known.turn, 'COUNT', text(TURN_PAGE))
  for i = 1, #page[2], 2 do
    local r = load(ctx, page[2][i])
    -- In all its lines, for the rank by priority is the same there.
    for _, need in ipairs(r and (r.state == 'waiting' or r.state == 'ready') and needs_of(ctx, r) or {}) do
      redis.call('ZADD', ctx.p .. K_LINE .. need.resource, defined.place(ctx, r, need.resource), r.id)
      tree.note_waits(ctx, need.resource, rank_of(ctx, r))
    end
  end
  ctx.looks = ctx.looks + #page[2] / 2
  if page[1] == '0' then
    known.turn = nil
    redis.call('HDEL', key, 'turn')
    if not defined.special(known) then
      defined.count(ctx, -1)
    end
    ctx.thorough = true
    -- Above and below it nobody waits for those in a line with an order of its own.
    tree.loosen(ctx, resource)
    return true
  end
  known.turn = page[1]
  redis.call('HSET', key, 'turn', known.turn)
  leave(ctx, resource)
  return false
end
