"""Fragments in place of those that ask the server for what a test wants to decide: its clock and its memory."""

# They are found through the hash tag of the namespace, so one text of each script serves all tests.
CLOCK = "test-clock:"
MEMORY = "test-memory:"
NOW = f"""local function server_us()
  return tonumber(redis.call('GET', '{CLOCK}' .. string.match(KEYS[1], '%b{{}}')))
end"""
USED = f"""local function server_memory()
  local said = redis.call('GET', '{MEMORY}' .. string.match(KEYS[1], '%b{{}}')) or '0 0'
  local used, limit = string.match(said, '^(%d+) (%d+)$')
  return tonumber(used), tonumber(limit)
end"""
REPLACED = {"lib/now": NOW, "lib/server_memory": USED}
