-- produce: the shortest program. The server comes from UPSTASH_KAFKA_REST_URL, _USERNAME and
-- _PASSWORD.
--
--   lua5.4 examples/produce.lua TOPIC TEXT

local kafka = require "upstash.kafka"

local metadata, err, details = kafka.produce(arg[1], arg[2])
if not metadata then
  io.stderr:write("not produced: ", err, " (", details.code, details.retriable and ", try again" or "", ")\n")
  os.exit(1)
end
print(("partition %d, offset %d"):format(metadata.partition, metadata.offset))
