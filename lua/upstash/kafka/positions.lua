--- Values by topic and partition: a map of maps.

local positions = {}

--- Sets the value of the entry's partition.
function positions.put(map, entry, value)
  local partitions = map[entry.topic]
  if not partitions then
    partitions = {}
    map[entry.topic] = partitions
  end
  partitions[entry.partition] = value
end

--- Returns the value of the entry's partition, or nil.
function positions.get(map, entry)
  local partitions = map[entry.topic]
  return partitions and partitions[entry.partition]
end

--- Returns the offset of each partition in a list of {topic, partition, offset}; the first entry of
-- a partition counts.
function positions.first(entries)
  local map = {}
  for _, entry in ipairs(entries) do
    if not positions.get(map, entry) then positions.put(map, entry, entry.offset) end
  end
  return map
end

--- Copies a list of {topic, partition, offset} without the offsets.
function positions.bare(entries)
  local list = {}
  for index, entry in ipairs(entries) do
    list[index] = { topic = entry.topic, partition = entry.partition }
  end
  return list
end

return positions
