-- Which names a pattern is for, and from a name that it is not for, the next one that it could be for: so that a walk
-- over names in order leaps over trees that it has nothing to do with. A segment of a pattern is a name, or its beginning
-- and `*`; the last may be `**`: what stands before it, and everything below. In the order of bytes `!` comes before all
-- that a name may have, and `0` right after `/`.
local function parse_pattern(text)
  local pattern = { deep = text == '**' or string.sub(text, -3) == '/**' }
  for part in string.gmatch(text .. '/', '([^/]*)/') do
    local beginning = string.match(part, '^([^*]*)%*+$')
    pattern[#pattern + 1] = { text = beginning or part, open = beginning ~= nil }
  end
  if pattern.deep then
    pattern[#pattern] = nil
  end
  return pattern
end

-- Whether one comes before the other, by their bytes: Lua itself goes by the locale of the server.
local function before(one, other)
  local at = 1
  while at <= #other and string.sub(one, at, at + 7) == string.sub(other, at, at + 7) do
    at = at + 8
  end
  for i = at, #other do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then
      return not a or a < b
    end
  end
  return false
end

-- After everything that begins with `head`, which is empty or ends with a slash.
local function beyond(head)
  return head ~= '' and string.sub(head, 1, -2) .. '0' or nil
end

-- How a segment goes with a name that has `head` before it: the head of the next one, or true if the name ends here; or
-- false, and from where to go on.
local function go_with(segment, name, head)
  local wanted = head .. segment.text
  if string.sub(name, 1, #wanted) ~= wanted then
    return false, before(name, wanted) and wanted or beyond(head)
  end
  local slash = string.find(name, '/', #head + 1, true)
  if not segment.open and (slash and slash - 1 or #name) > #wanted then
    -- What is below `vpc` comes after `vpc-2` and before `vpc2`.
    local below = wanted .. '/'
    return false, before(name, below) and below or beyond(head)
  end
  return slash and string.sub(name, 1, slash) or true
end

-- True for a name that the pattern is for; else the least name after it that it could be for, or nil if there is none.
local function matches(pattern, name)
  local head = ''
  for i, segment in ipairs(pattern) do
    local following, from = go_with(segment, name, head)
    if not following then
      return from
    elseif following == true then
      return i == #pattern or name .. (segment.open and '!' or '/')
    elseif i == #pattern then
      return pattern.deep or beyond(segment.open and following or head)
    end
    head = following
  end
  return true
end
