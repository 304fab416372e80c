-- Whose turn it is where queues or priorities share by weights, job by job. A worker with weights for its queues takes turns
-- among those that have something ready; without, the queue with the first job by rank is next. In a queue that is shared,
-- the turn is then a priority's, in its own order. A turn costs whoever has it only when its job was handed out.
--@include lib/share
--@include lib/lanes
local function rank_of_source(source)
  local first = math.huge
  for _, lane in ipairs(source.lanes) do
    first = math.min(first, tonumber(lane.page[lane.at + 1] or nil) or (lane.full and -math.huge) or math.huge)
  end
  return first
end

-- Who has something ready, or may have; of several the first by rank.
local function first_by_rank(sources)
  if not sources[2] then
    return source_busy(sources[1]) and 1 or nil
  end
  local first, least = nil, math.huge
  for i, source in ipairs(sources) do
    local rank = rank_of_source(source)
    if rank < least then
      first, least = i, rank
    end
  end
  return first
end

-- Whoever had the turn pays for it.
local function pay(turns, found)
  local source = turns.sources[found.source]
  if turns.among then
    take_turn(turns.among, found.source)
    turns.among.moved = true
  end
  if source.share then
    take_turn(source.share, found.lane)
    source.share.moved = true
  end
end

-- The next head, or nil: there is none, or more may lie behind what was looked at where the turn is.
local function head_in_turn(turns)
  local turn
  if turns.among then
    turn = turn_of(turns.among, turns.sources, source_busy)
  else
    turn = first_by_rank(turns.sources)
  end
  local source = turns.sources[turn or 0]
  if not source then
    return nil
  end
  local number = source.share and turn_of(source.share, source.lanes, lane_busy) or 1
  local lane = source.lanes[number]
  local id = lane.page[lane.at]
  lane.at = lane.at + lane.step
  return id and { id = id, queue = source.queue, source = turn, lane = number, class = source.share and lane.key }
end

-- Whether more is ready than has had a turn.
local function any_left(turns)
  return first_by_rank(turns.sources) ~= nil
end

local function turns_of(ctx, queues, heads)
  local turns = { sources = {}, among = queues.share and share_of(ctx, queues.share, table.concat(queues.weights, ':')) }
  for i, queue in ipairs(queues) do
    turns.sources[i] = source_of(ctx, queue, queues.classes[queue], heads, not turns.among and #queues > 1)
  end
  return turns
end

local function keep_turns(ctx, turns)
  for _, source in ipairs(turns.sources) do
    if source.share and source.share.moved then
      keep_share(ctx, source.share)
    end
  end
  if turns.among and turns.among.moved then
    keep_share(ctx, turns.among)
  end
end
