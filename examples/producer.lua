-- producer: sends each line of standard input in the background, and tells at the end what became
-- of them. The server comes from UPSTASH_KAFKA_REST_URL, _USERNAME and _PASSWORD.
--
--   tail -f access.log | lua5.4 examples/producer.lua TOPIC

local kafka = require "upstash.kafka"

local topic = assert(arg[1], "which topic?")
local client = kafka.new { binary = true } -- lines may be any bytes, and need not be UTF-8
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
