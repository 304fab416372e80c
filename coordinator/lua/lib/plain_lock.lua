-- Which locks take the shorter ways in and out: those on one resource that is no subtree, where nothing is frozen, defined
-- or held as a subtree in this namespace, so that only its holders and its line can be in their way; while there is memory,
-- no line was left to the next script, and the clock goes on. These ways are written out straight, with no context: to
-- make one, and the calls with many arguments, took the server as long as four commands.
--@include states
--@include lib/context
--@include lib/request
--@include lib/tree
--@include lib/memory
local plain_lock = {}
plain_lock.WAITING = next_state('new', 'ask')
plain_lock.HELD = next_state(plain_lock.WAITING, 'grant')
plain_lock.RELEASED = next_state(plain_lock.HELD, 'release')

-- The terms, if nothing that stands in `meta` is in the way; `us` is the server's time.
function plain_lock.terms(m, us, words)
  if m.trees or m.defined or m.frozen or m.left or m.memory or us < tonumber(m.clock) or tonumber(m.skew) ~= 0 then
    return nil
  end
  local terms = read_terms(words, m.terms or false).__index
  return not (terms.memory_terms and us - m.looked * 1000 >= BELIEVED_MS * 1000) and terms
end

-- The resource, or nothing.
function plain_lock.on(needs)
  local resource = #needs <= SHORT and string.match(needs, '^[xs]1:(%S+)$')
  return resource and not tree.is(resource) and resource or nil
end
