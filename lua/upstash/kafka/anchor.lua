--- Where a group that starts at the end has started, made a commit.
--
-- With reset `latest` a partition without a commit starts at its end, each time that an instance takes it. A
-- batch that a crash cuts short would then never come again, nor would what arrives between a
-- lost answer and the next instance. So a loop notes the ends before its first consume, and commits them for
-- the partitions that its instance holds and the group has no commit for. Messages that came between the
-- note and the consume are not skipped either: the instance is started again, from the commit.

local loop = require "upstash.kafka.loop"
local positions = require "upstash.kafka.positions"

---@class upstash.kafka.Anchor
---@field ends table<string, table<integer, integer>>? the end of each partition before the first consume
---@field held table<string, table<integer, boolean>> partitions that are known to have a commit
---@field settled boolean whether the server has said which partitions the instance holds
local Anchor = {}
Anchor.__index = Anchor

local anchor = {}

function anchor.new()
  return setmetatable({ held = {}, settled = false }, Anchor)
end

--- Notes the ends of all partitions, the first time that it is called.
function Anchor:take(consumer, deadline)
  if self.ends then return end
  local client, partitions = consumer.client, {}
  local counts = loop.insist(client, deadline, nil, "topics")
  for _, topic in ipairs(consumer.topics) do
    for partition = 0, (counts[topic] or 0) - 1 do
      partitions[#partitions + 1] = { topic = topic, partition = partition }
    end
  end
  self.ends = #partitions == 0 and {}
    or positions.first(loop.insist(client, deadline, nil, "offsets", "latest", partitions))
end

local ASKED = 3 -- servers behind one address, of which one knows what the instance holds

-- What a server says that the instance holds. One of several servers may not know.
local function said_to_hold(consumer, deadline)
  local partitions = {}
  for _, group in ipairs(loop.insist(consumer.client, deadline, nil, "consumers")) do
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
  local partitions = said_to_hold(consumer, deadline)
  for _ = 2, ASKED do
    if #partitions > 0 then break end
    partitions = said_to_hold(consumer, deadline)
  end
  return partitions
end

-- The partitions, of the instance and of the messages, that are not known to have a commit, and whether the server has
-- said which ones the instance holds.
local function loose(self, consumer, messages, deadline)
  local partitions, seen = {}, {}
  local function see(entries)
    for _, entry in ipairs(entries) do
      if not positions.get(self.held, entry) and not positions.get(seen, entry) then
        positions.put(seen, entry, true)
        partitions[#partitions + 1] = { topic = entry.topic, partition = entry.partition }
      end
    end
  end
  see(messages)
  if self.settled then return partitions, true end
  local holds = holdings(consumer, deadline)
  see(holds)
  return partitions, #holds > 0
end

-- Where the partitions without a commit began. One that is younger than the note began at its first offset.
local function beginnings(self, consumer, partitions, deadline)
  local client, offsets, young = consumer.client, {}, {}
  local committed = loop.insist(client, deadline, nil, "committed", consumer.group, consumer.instance,
    partitions)
  for _, entry in ipairs(committed) do
    local noted = positions.get(self.ends, entry)
    local place = { topic = entry.topic, partition = entry.partition, offset = noted }
    if entry.offset < 0 then table.insert(noted and offsets or young, place) end
  end
  if #young > 0 then
    for _, entry in ipairs(loop.insist(client, deadline, nil, "offsets", "earliest", young)) do
      offsets[#offsets + 1] = entry
    end
  end
  return offsets
end

-- Whether the instance may have begun behind one of the offsets.
local function may_have_skipped(consumer, offsets, messages, deadline)
  local begun, silent = positions.first(messages), {}
  for _, entry in ipairs(offsets) do
    local first = positions.get(begun, entry)
    if first and first > entry.offset then return true end
    if not first then silent[#silent + 1] = entry end
  end
  if #silent == 0 then return false end
  local noted = positions.first(silent)
  local ends = loop.insist(consumer.client, deadline, nil, "offsets", "latest", positions.bare(silent))
  for _, entry in ipairs(ends) do
    if entry.offset > positions.get(noted, entry) then return true end
  end
  return false
end

--- Makes sure that each partition that the instance holds, or that the messages come from, has a commit. False when
-- the instance has to be started again; then the messages must not be handed out.
function Anchor:hold(consumer, messages, deadline)
  local partitions, settled = loose(self, consumer, messages, deadline)
  local offsets = #partitions > 0 and beginnings(self, consumer, partitions, deadline) or {}
  if #offsets > 0 and not loop.insist(consumer.client, deadline, "not_found", "commit",
    consumer.group, consumer.instance, offsets) then
    return false
  end
  self.settled = settled
  for _, entry in ipairs(partitions) do positions.put(self.held, entry, true) end
  return #offsets == 0 or not may_have_skipped(consumer, offsets, messages, deadline)
end

return anchor
