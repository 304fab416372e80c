-- `default`, `default=3`, `bulk 16:8:4:2:1` or both: the queues in their order, and what is said of weights. In `share`, if
-- anything is, the field of how they share.
local function read_queues(words)
  local queues, among, weighed = { weights = {}, classes = {} }, {}, false
  for i, word in ipairs(words) do
    local name, weight, classes = string.match(word, '^([^= ]+)=?(%d*) ?([%d:]*)$')
    name = name or word
    queues[i], queues.weights[i] = name, weight ~= '' and weight or '1'
    queues.classes[name] = classes ~= '' and classes or nil
    queues.shared = queues.shared or name ~= word
    weighed, among[i] = weighed or (weight or '') ~= '', name .. '=' .. queues.weights[i]
  end
  queues.share = weighed and table.concat(among, ',')
  return queues
end
