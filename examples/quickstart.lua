-- quickstart: creates a topic, produces the lines of a file, consumes them in a for loop, and
-- compares.
--
--   lua5.4 examples/quickstart.lua [FILE]
--
-- UPSTASH_KAFKA_REST_URL, _USERNAME and _PASSWORD name the server; `make run` starts one.

local kafka = require "upstash.kafka"

local path = arg[1] or "LICENSE"
local topic = ("quickstart-%d-%d"):format(os.time(), math.random(99999))
local partitions = 3
local client = kafka.new()

-- A failed call returns nil, a text and details; assert turns the text into an error.
assert(client:create_topic(topic, { partitions = partitions }))

-- One message per line. The key selects the partition; messages of a partition keep their order.
local messages, expected = {}, {}
for partition = 0, partitions - 1 do expected[partition] = {} end
for line in io.lines(path) do
  messages[#messages + 1] = { key = "line " .. #messages + 1, value = line }
end
local metadata = assert(client:produce_many(topic, messages))
for index, placed in ipairs(metadata) do
  table.insert(expected[placed.partition], messages[index].value)
end
print(("produced the %d lines of %s to %s"):format(#messages, path, topic))

-- The loop commits a message when it asks for the next one. It ends after `limit` messages or after
-- five seconds without any; without `limit` and `idle` it would never end.
local received, total, shown = {}, 0, 0
for partition = 0, partitions - 1 do received[partition] = {} end
for message in client:messages {
  group = "quickstart", instance = "worker-1", topic = topic, from = "earliest", limit = #messages, idle = 5000,
} do
  table.insert(received[message.partition], message.value)
  total = total + 1
  if shown < 3 and message.value ~= "" then
    shown = shown + 1
    print(("  partition %d, offset %d, %s: %s"):format(message.partition, message.offset, message.key,
      message.value))
  end
end
print(("  … consumed %d messages"):format(total))

assert(total == #messages, "some lines were not consumed")
for partition, lines in pairs(expected) do
  for index, line in ipairs(lines) do
    assert(received[partition][index] == line,
      ("partition %d, message %d differs from what was produced"):format(partition, index))
  end
end
assert(client:delete_topic(topic))
print("every line came back as it was sent, in the order of its partition")

print [[

Next:
  bin/upstash-kafka serve           runs your own server; it prints three exports for clients:
    export UPSTASH_KAFKA_REST_URL=…
    export UPSTASH_KAFKA_REST_USERNAME=…
    export UPSTASH_KAFKA_REST_PASSWORD=…
  eval "$(make -s env)"             puts this checkout on Lua's path
  lua5.4 examples/quickstart.lua README.md
  bin/upstash-kafka produce greetings hello
  bin/upstash-kafka consume greetings --group me --from earliest]]
