-- enqueue.lua URL USERNAME PASSWORD TOPIC BYTES MESSAGES: what producer:send costs its caller.
-- Prints the nanoseconds of one send. The queue has room for all messages, so none waits.
local kafka = require "upstash.kafka"
local time = require "bench_time"

local url, username, password, topic, bytes, messages = ...
bytes, messages = tonumber(bytes), tonumber(messages)
local client = kafka.new { url = url, username = username, password = password }
local producer = client:producer { queue_bytes = math.min(2 ^ 30, messages * (bytes + 200)), linger = 60000,
  batch_bytes = 2 ^ 24, batch_messages = 100000 }
local value = ("x"):rep(bytes)

-- The first round allocates the queue's memory and starts the thread.
local function round()
  local start = time.seconds()
  for _ = 1, messages do producer:send(topic, value) end
  local seconds = time.seconds() - start
  assert(producer:flush(60000))
  return seconds / messages * 1e9
end

round()
print(string.format("%.1f", round()))
assert(producer:stats().refused == 0)
assert(producer:close())
