--- `upstash-kafka topics`, `groups` and `offsets`.

local command_client = require "upstash.kafka.command.client"
local command_line = require "upstash.kafka.command.line"

local function sorted_names(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function integer(value)
  return ("%d"):format(value)
end

local function list_topics(given)
  local topics = command_client.need(command_client.client(given):topics())
  local rows = { { "TOPIC", "PARTITIONS" } }
  for _, name in ipairs(sorted_names(topics)) do rows[#rows + 1] = { name, integer(topics[name]) } end
  command_client.print_table(rows)
end

local function create_topic(given)
  local created = command_client.need(command_client.client(given):create_topic(given[1], {
    partitions = given.partitions,
    retention_ms = given.retention_ms,
    retention_bytes = given.retention_bytes,
  }))
  command_client.write(("created %s, partitions: %d\n"):format(created.topic, created.partitions))
end

local function delete_topic(given)
  command_client.need(command_client.client(given):delete_topic(given[1]))
  command_client.write(("deleted %s\n"):format(given[1]))
end

local function list_groups(given)
  local rows = { { "GROUP", "INSTANCE", "TOPIC", "PARTITIONS" } }
  for _, group in ipairs(command_client.need(command_client.client(given):consumers())) do
    for _, instance in ipairs(group.instances) do
      if #instance.topics == 0 then rows[#rows + 1] = { group.name, instance.name, "-", "-" } end
      for _, topic in ipairs(instance.topics) do
        local partitions = {}
        for index, partition in ipairs(topic.partitions) do partitions[index] = integer(partition) end
        rows[#rows + 1] = { group.name, instance.name, topic.topic, table.concat(partitions, ",") }
      end
    end
  end
  command_client.print_table(rows)
end

local function partitions_of(client, topic)
  local count = command_client.need(client:topics())[topic]
  if not count then command_line.fail('topic "%s" does not exist', topic) end
  local partitions = {}
  for partition = 0, count - 1 do
    partitions[#partitions + 1] = { topic = topic, partition = partition }
  end
  return partitions
end

local function show_offsets(given)
  local client = command_client.client(given)
  local partitions = partitions_of(client, given[1])
  local earliest = command_client.need(client:offsets("earliest", partitions))
  local latest = command_client.need(client:offsets("latest", partitions))
  local rows = { { "PARTITION", "EARLIEST", "LATEST" } }
  for index, entry in ipairs(earliest) do
    rows[#rows + 1] = { integer(entry.partition), integer(entry.offset), integer(latest[index].offset) }
  end
  command_client.print_table(rows)
end

local LIST = {
  name = "topics", words = "[OPTION]… | topics create TOPIC [OPTION]… | topics delete TOPIC [OPTION]…",
  least = 0, most = 0, run = list_topics,
  about = "Lists the topics and their numbers of partitions. Creates or deletes a topic.",
  options = command_client.options {},
}

return {
  topics = LIST,
  ["topics list"] = LIST,
  ["topics create"] = {
    name = "topics create", words = "TOPIC [OPTION]…", least = 1, most = 1, run = create_topic,
    about = "Creates a topic. Succeeds if the topic exists with the same settings.",
    options = command_client.options {
      { name = "partitions", value = "N", kind = "integer", min = 1, about = "default: the server's" },
      { name = "retention-ms", value = "MS", kind = "integer", min = 1, about = "delete messages older than this" },
      { name = "retention-bytes", value = "BYTES", kind = "integer", min = 1,
        about = "delete the oldest messages of a partition beyond this size" },
    },
  },
  ["topics delete"] = {
    name = "topics delete", words = "TOPIC [OPTION]…", least = 1, most = 1, run = delete_topic,
    about = "Deletes a topic, its messages, and the groups' offsets in it.",
    options = command_client.options {},
  },
  groups = {
    name = "groups", words = "[OPTION]…", least = 0, most = 0, run = list_groups,
    about = "Lists the consumer groups with live instances, and the partitions of each instance.",
    options = command_client.options {},
  },
  offsets = {
    name = "offsets", words = "TOPIC [OPTION]…", least = 1, most = 1, run = show_offsets,
    about = "Shows the first offset and the end offset of each partition.",
    options = command_client.options {},
  },
}
