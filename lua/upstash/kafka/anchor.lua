--- Commits where a group starts, if it starts at the end.
--
-- With auto_offset_reset = latest, a partition without a commit starts at its current end each time
-- an instance takes it. Messages would be skipped if the loop crashed in the middle of its first
-- batch, or between a lost response and the next instance. So the loop notes the ends before its
-- first consume, and commits them for the partitions that its instance holds and that have no
-- commit. If messages arrived between the note and the consume, the loop starts the instance again,
-- from that commit.

local loop = require "upstash.kafka.loop"
local positions = require "upstash.kafka.positions"

---@class upstash.kafka.Anchor
---@field ends table<string, table<integer, integer>>? the end of each partition before the first consume
---@field committed table<string, table<integer, boolean>> partitions that are known to have a commit
---@field complete boolean whether every partition that the instance holds is known to have a commit
local Anchor = {}
Anchor.__index = Anchor

local anchor = {}

function anchor.new()
  return setmetatable({ committed = {}, complete = false }, Anchor)
end

--- Notes the ends of all partitions. Does nothing when it is called again.
function Anchor:take(consumer, deadline)
  if self.ends then return end
  local partitions = {}
  local counts = loop.retry_until(consumer, deadline, nil, "topics")
  for _, topic in ipairs(consumer.topics) do
    for partition = 0, (counts[topic] or 0) - 1 do
      partitions[#partitions + 1] = { topic = topic, partition = partition }
    end
  end
  self.ends = #partitions == 0 and {}
    or positions.first(loop.retry_until(consumer, deadline, nil, "offsets", "latest", partitions))
end

local ATTEMPTS = 3 -- of several servers behind one address, one knows what the instance holds

-- The partitions that the instance holds, as one server knows it.
local function ask_for_holdings(consumer, deadline)
  local partitions = {}
  for _, group in ipairs(loop.retry_until(consumer, deadline, nil, "consumers")) do
    for _, instance in ipairs(group.name == consumer.group and group.instances or {}) do
      for _, entry in ipairs(instance.name == consumer.instance and instance.topics or {}) do
        for _, partition in ipairs(entry.partitions) do
          partitions[#partitions + 1] = { topic = entry.topic, partition = partition }
        end
      end
    end
  end
  return partitions
end

local function holdings(consumer, deadline)
  local partitions = ask_for_holdings(consumer, deadline)
  for _ = 2, ATTEMPTS do
    if #partitions > 0 then break end
    partitions = ask_for_holdings(consumer, deadline)
  end
  return partitions
end

-- The partitions of the instance and of the messages that are not known to have a commit, and
-- whether they include all that the instance holds.
local function uncommitted(self, consumer, messages, deadline)
  local partitions, seen = {}, {}
  local function see(entries)
    for _, entry in ipairs(entries) do
      if not positions.get(self.committed, entry) and not positions.get(seen, entry) then
        positions.put(seen, entry, true)
        partitions[#partitions + 1] = { topic = entry.topic, partition = entry.partition }
      end
    end
  end
  see(messages)
  if self.complete then return partitions, true end
  local holds = holdings(consumer, deadline)
  see(holds)
  return partitions, #holds > 0
end

-- Where the partitions without a commit start: at the noted end, or at the first offset if a
-- partition was created after the note.
local function starts_of(self, consumer, partitions, deadline)
  local offsets, young = {}, {}
  local committed = loop.retry_until(consumer, deadline, nil, "committed", consumer.group, consumer.instance,
    partitions)
  for _, entry in ipairs(committed) do
    local noted = positions.get(self.ends, entry)
    local place = { topic = entry.topic, partition = entry.partition, offset = noted }
    if entry.offset < 0 then table.insert(noted and offsets or young, place) end
  end
  if #young > 0 then
    for _, entry in ipairs(loop.retry_until(consumer, deadline, nil, "offsets", "earliest", young)) do
      offsets[#offsets + 1] = entry
    end
  end
  return offsets
end

-- Whether the instance may have started past one of the offsets.
local function may_have_skipped(consumer, offsets, messages, deadline)
  local begun, silent = positions.first(messages), {}
  for _, entry in ipairs(offsets) do
    local first = positions.get(begun, entry)
    if first and first > entry.offset then return true end
    if not first then silent[#silent + 1] = entry end
  end
  if #silent == 0 then return false end
  local noted = positions.first(silent)
  local ends = loop.retry_until(consumer, deadline, nil, "offsets", "latest", positions.bare(silent))
  for _, entry in ipairs(ends) do
    if entry.offset > positions.get(noted, entry) then return true end
  end
  return false
end

--- Makes sure that every partition that the instance holds or that the messages come from has a
-- commit. Returns false if the instance must be started again and the messages must not be handed
-- out.
function Anchor:hold(consumer, messages, deadline)
  local partitions, complete = uncommitted(self, consumer, messages, deadline)
  local offsets = #partitions > 0 and starts_of(self, consumer, partitions, deadline) or {}
  if #offsets > 0 and not loop.retry_until(consumer, deadline, "not_found", "commit",
    consumer.group, consumer.instance, offsets, loop.KEEPS_BATCH) then
    return false
  end
  self.complete = complete
  for _, entry in ipairs(partitions) do positions.put(self.committed, entry, true) end
  return #offsets == 0 or not may_have_skipped(consumer, offsets, messages, deadline)
end

return anchor
