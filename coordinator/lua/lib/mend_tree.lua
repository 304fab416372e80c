-- Puts right what is noted of subtrees. Of holders that cannot be there together the newest fence stays.
--@include lib/audit_tree
--@include lib/lapse
local function newest_fence(ctx, resource)
  local newest = 0
  for _, value in ipairs(redis.call('HVALS', ctx.p .. K_HOLDERS .. resource)) do
    newest = math.max(newest, tonumber(parse_holder(value).fence or 0))
  end
  return newest
end

local function lapse_holders(ctx, resource)
  for _, id in ipairs(redis.call('HKEYS', ctx.p .. K_HOLDERS .. resource)) do
    local r = load(ctx, id)
    if r and (r.state == 'held' or r.state == 'running') then
      lapse(ctx, r, 'held it beside another')
    end
  end
end

local function mend_tree(ctx, resource)
  if tree.is(resource) and redis.call('EXISTS', ctx.p .. K_LINE .. resource, ctx.p .. K_HOLDERS .. resource) > 0 then
    ctx.trees = ctx.trees or '1'
    redis.call('HSET', ctx.meta, 'trees', 1)
    listing.plant(ctx, resource)
  end
  local mode, rank = mode_of(ctx, resource), listing.first_rank(ctx, resource)
  if mode then
    tree.note_held(ctx, resource, mode)
  end
  if rank then
    tree.note_waits(ctx, resource, rank)
  end
  for _ = 1, tree.MAX_DEPTH do
    local node = held_around(ctx, resource)
    if not node then
      return
    end
    lapse_holders(ctx, newest_fence(ctx, node) > newest_fence(ctx, resource) and resource or node)
  end
end
