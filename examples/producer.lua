-- producer: sends each line of standard input in the background, and reports the outcome at the
-- end. The server comes from UPSTASH_KAFKA_REST_URL, _USERNAME and _PASSWORD.
--
--   tail -f access.log | lua5.4 examples/producer.lua TOPIC

local kafka = require "upstash.kafka"

local topic = assert(arg[1], "which topic?")
local client = kafka.new { binary = true } -- lines may hold any bytes
local producer = client:producer { topic = topic, overflow = "block" }

for line in io.lines() do
  local queued, err = producer:send(nil, line)
  if not queued then io.stderr:write("not queued: ", err, "\n") end
end

local done, err = producer:flush(10000)
for _, failure in ipairs(producer:failures()) do
  io.stderr:write(("not delivered: %q: %s\n"):format(failure.message.value, failure.error))
end
local stats = producer:stats()
print(("%d sent, %d delivered, half of them within %d ms"):format(stats.sent, stats.delivered, stats.latency.p50))
if not done then io.stderr:write(err, "\n") end
os.exit(stats.delivered == stats.sent and 0 or 1)
