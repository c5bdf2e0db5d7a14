-- produce.lua URL USERNAME PASSWORD REQUESTS TOPIC VALUE: one message at a time with the client.
-- Prints the requests a second.
local kafka = require "upstash.kafka"
local time = require "bench_time"

local url, username, password, requests, topic, value = ...
local client = kafka.new { url = url, username = username, password = password }

local start = time.seconds()
for _ = 1, tonumber(requests) do
  assert(client:produce(topic, value))
end
print(string.format("%.1f", tonumber(requests) / (time.seconds() - start)))
client:close()
