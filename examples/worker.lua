-- worker: handles each message of a topic at least once. Start several with different names to
-- share the partitions. If one stops or dies, another continues at its last commit.
--
--   lua5.4 examples/worker.lua TOPIC NAME

local kafka = require "upstash.kafka"

local client = kafka.new()
io.stdout:setvbuf "line"

for message in client:messages { group = "workers", instance = arg[2], topic = arg[1], from = "earliest" } do
  print(arg[2], message.partition, message.offset, message.value)
end
