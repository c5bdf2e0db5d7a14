-- replay: prints what arrived in a partition in the last hour, without a group.
--
--   lua5.4 examples/replay.lua TOPIC PARTITION

local kafka = require "upstash.kafka"

local client = kafka.new()
local an_hour_ago = (os.time() - 3600) * 1000

for message in client:records {
  topic = arg[1], partition = tonumber(arg[2]), from = { timestamp = an_hour_ago }, to = "latest",
} do
  print(message.offset, os.date("%H:%M:%S", math.floor(message.timestamp / 1000)), message.value)
end
