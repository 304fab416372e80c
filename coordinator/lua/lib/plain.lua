-- Which locks and jobs take the shorter ways: while there is memory, nothing is frozen, no line was left to the next script, and
-- the clock goes on. These ways are written out straight, with no context: to make one, and the calls with many arguments,
-- took the server as long as four commands.
--@include states
--@include lib/context
--@include lib/memory
--@include lib/request
--@include lib/tree
local plain = {}
plain.WAITING = next_state('new', 'ask')
plain.HELD = next_state(plain.WAITING, 'grant')
plain.RELEASED = next_state(plain.HELD, 'release')
plain.READY = next_state(plain.WAITING, 'offer')

-- The terms, if nothing that stands in `meta` is in the way; `us` is the server's time.
function plain.terms(m, us, words)
  if m.frozen or m.left or m.memory or us < tonumber(m.clock) or tonumber(m.skew) ~= 0 then
    return nil
  end
  local terms = read_terms(words, m.terms or false).__index
  return not (terms.memory_terms and us - m.looked * 1000 >= BELIEVED_MS * 1000) and terms
end

-- As `terms`, of locks: where nothing is held as a subtree, and no crash of the last seconds keeps anything closed, only what
-- is defined for it, its holders and its line can be in their way.
function plain.lock_terms(m, us, words)
  return not (m.trees or m.delays) and plain.terms(m, us, words)
end

-- Whether nothing is defined for a resource. Nobody looks where it is noted that nothing is for any.
function plain.undefined(p, m, resource)
  return not m.defined or redis.call('EXISTS', p .. K_DEF .. resource) == 0
end

-- The resource of a lock on just one, which is no subtree; or nothing.
function plain.resource(needs)
  local resource = #needs <= SHORT and string.match(needs, '^[xs]1:(%S+)$')
  return resource and not tree.is(resource) and resource or nil
end

-- As `terms`, of jobs about which nothing is said: no handler has gates, no queue sheds load, and none is shared by weights.
function plain.job_terms(m, us, words)
  return not (m.gates or m.limits or m.shed or m.shares) and plain.terms(m, us, words)
end

-- Ends a script that has drawn no number after this one.
function plain.keep_clock(meta, m, us, number)
  if us > m.due then
    redis.call('HSET', meta, 'tick', number, 'clock', text(us))
  else
    redis.call('HSET', meta, 'tick', number)
  end
end
