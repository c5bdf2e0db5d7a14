-- worker: handles each message of a topic at least once. Start several with different names: they
-- share the partitions. One that is stopped, or dies, is followed by another where its last commit
-- was.
--
--   lua5.4 examples/worker.lua TOPIC NAME

local kafka = require "upstash.kafka"

local client = kafka.new()
io.stdout:setvbuf "line"

for message in client:messages { group = "workers", instance = arg[2], topic = arg[1], from = "earliest" } do
  print(arg[2], message.partition, message.offset, message.value)
end
