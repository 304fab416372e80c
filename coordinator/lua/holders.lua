-- Resources that are held or waited for and that a pattern is for, in order of name and page by page: who holds each.
-- KEYS[1] meta
-- ARGV[1] terms
-- ARGV[2] pattern: `infra/prod/vpc`, `infra/prod/*`, `infra/*/vpc`, `infra/prod/v*`, `infra/prod/**`
-- ARGV[3] where the page before ended, or empty
-- ARGV[4] how many resources
-- ARGV[5] how many holders to name of each
-- reply: ok <now ms> <where this page ended, empty if it was the last> [<resource>]... ; resource: [name, capacity, line length, how many holders, [<person>...]]
-- Keeps: nothing is written. Trees that the pattern is not for are leapt over; a call that comes by too many of them
-- answers with less than it was asked for, and where to go on.
--@flags no-writes
--@include lib/context
--@include lib/pattern
--@include lib/usage
--@include lib/person
-- To compare a name with a pattern of many segments takes longer: of these so many in one call.
local MAX_STEPS, MAX_SEGMENTS, STEP, LEAP = 256, 2400, 16, 2
local ctx = open(KEYS[1], ARGV[1])
local pattern, most, named = parse_pattern(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local found, compared = {}, 0

local function show(name)
  local people, many = holders_of(ctx, name, named)
  found[#found + 1] = { name, capacity(ctx, name), redis.call('ZCARD', ctx.p .. K_LINE .. name), many, people }
end

-- From where to go on after a name, or nil if nothing more can come. What only the engine names comes last.
local function look_at(name)
  if string.sub(name, 1, 1) == '~' then
    return nil
  end
  compared = compared + #pattern + 1
  local answer = matches(pattern, name)
  if answer == true then
    show(name)
    return name .. '!'
  end
  return answer
end

-- Looks at the next names. Returns from where to go on, or nil when the walk is over.
local function step(from, size)
  local low = from == '' and '-' or '[' .. from
  local names = redis.call('ZRANGEBYLEX', ctx.p .. K_RESOURCES, low, '+', 'LIMIT', 0, size)
  local leapt = false
  for _, name in ipairs(names) do
    if #found == most then
      return name
    elseif not leapt or not before(name, from) then
      local had = #found
      from = look_at(name)
      if not from then
        return nil
      end
      leapt = #found == had
    end
  end
  return #names == size and from or nil
end

local from = ARGV[3] ~= '' and ARGV[3] or pattern[1] and pattern[1].text or ''
local size = LEAP
for _ = 1, MAX_STEPS do
  local had = #found
  from = step(from, size)
  if not from or #found == most or compared >= MAX_SEGMENTS then
    break
  end
  -- Where something was not found the next leap is likely, and what is read beyond it is read for nothing.
  size = #found == had + size and math.min(STEP, 2 * size) or LEAP
end
return { 'ok', text(ctx.now), from or '', found }
