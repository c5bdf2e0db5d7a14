-- consume.lua client|hand URL USERNAME PASSWORD TOPIC GROUP BATCHES: batches of 1,000 messages,
-- with the client or with libcurl and lua-cjson by hand. Prints the batches a second, and the
-- processor seconds of this process for 1,000 batches.
local time = require "bench_time"

local how, url, username, password, topic, group, batches = ...
batches = tonumber(batches)

local by = {}

function by.client()
  local client = require("upstash.kafka").new { url = url, username = username, password = password }
  local options = { auto_offset_reset = "earliest", max_messages = 1000, auto_commit = false }
  return function() return assert(client:consume(group, "one", topic, options)) end
end

function by.hand()
  local post = require("by_hand").post
  local decode = require("cjson").decode
  local target = url .. "/consume/" .. group .. "/one"
  local credentials = username .. ":" .. password
  local headers = { "Content-Type: application/json", "Kafka-Auto-Offset-Reset: earliest",
    "Kafka-Enable-Auto-Commit: false" }
  local body = '{"topic":"' .. topic .. '","max_messages":1000}'
  return function() return decode(post(target, credentials, headers, body)) end
end

local consume = by[how]()
local start, clock = time.seconds(), os.clock()
for _ = 1, batches do
  local messages = consume()
  assert(#messages == 1000, #messages)
end
print(string.format("%.1f %.3f", batches / (time.seconds() - start), (os.clock() - clock) / batches * 1000))
