-- Which locks take the shorter ways in and out: those on one resource that is no subtree, where nothing is frozen, defined
-- or held as a subtree in this namespace, so that only its holders and its line can be in their way.
--@include states
--@include lib/request
--@include lib/tree
local plain_lock = {}
plain_lock.WAITING = next_state('new', 'ask')
plain_lock.HELD = next_state(plain_lock.WAITING, 'grant')
plain_lock.RELEASED = next_state(plain_lock.HELD, 'release')

-- The resource, or nothing.
function plain_lock.on(ctx, needs)
  if ctx.trees or ctx.defined or ctx.frozen or #needs > SHORT then
    return nil
  end
  local resource = string.match(needs, '^[xs]1:(%S+)$')
  return resource and not tree.is(resource) and resource or nil
end
