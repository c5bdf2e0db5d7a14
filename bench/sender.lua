-- sender.lua HOW URL USERNAME PASSWORD TOPIC MESSAGES: messages of 100 bytes from one Lua thread,
-- acknowledged. HOW is `producer`, or `hand`: hand-written batches of 1,000 with lua-cjson and
-- libcurl. Prints the messages per second, from the first send until all are acknowledged.
local time = require "bench_time"

local how, url, username, password, topic, messages = ...
messages = tonumber(messages)
local value = ("x"):rep(100)
local sides = {}

function sides.producer()
  local client = require("upstash.kafka").new { url = url, username = username, password = password }
  local producer = client:producer { overflow = "block", block_timeout = 60000 }
  local start = time.seconds()
  for _ = 1, messages do assert(producer:send(topic, value)) end
  assert(producer:flush(60000))
  local seconds = time.seconds() - start
  assert(producer:stats().delivered == messages)
  assert(producer:close())
  return seconds
end

function sides.hand()
  local json, by_hand = require "cjson", require "by_hand"
  local headers = { "Content-Type: application/json", "Expect:" }
  local start = time.seconds()
  for first = 1, messages, 1000 do
    local batch = {}
    for index = 1, math.min(1000, messages - first + 1) do batch[index] = { value = value } end
    local answer = by_hand.post(url .. "/produce/" .. topic, username .. ":" .. password, headers, json.encode(batch))
    assert(#json.decode(answer) == #batch)
  end
  return time.seconds() - start
end

print(string.format("%.1f", messages / sides[how]()))
