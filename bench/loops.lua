-- loops.lua loop|plain URL USERNAME PASSWORD TOPIC GROUP BATCHES: reads batches of 1,000 messages,
-- each committed once it is handled: with client:batches, or by hand in the plain contract, with a
-- commit request after each consume. Prints the batches a second, the requests for each batch, and
-- the processor seconds of this process for 1,000 batches.
local time = require "bench_time"
local kafka = require "upstash.kafka"

local how, url, username, password, topic, group, batches = ...
batches = tonumber(batches)

local client = kafka.new { url = url, username = username, password = password }
local requests = 0

-- Counts the calls of the client: each makes one request.
local methods = debug.getmetatable(client).__index
for _, name in ipairs { "consume", "commit", "committed", "delete_consumer" } do
  local method = methods[name]
  methods[name] = function(...)
    requests = requests + 1
    return method(...)
  end
end

local by = {}

function by.loop(handle)
  for batch in client:batches { group = group, instance = "one", topic = topic, from = "earliest", max_messages = 1000,
    limit = batches * 1000 } do
    handle(batch)
  end
end

function by.plain(handle)
  local options = { auto_offset_reset = "earliest", max_messages = 1000, auto_commit = false }
  for _ = 1, batches do
    local batch = assert(client:consume(group, "one", topic, options))
    handle(batch)
    local last = batch[#batch]
    assert(client:commit(group, "one", { topic = topic, partition = last.partition, offset = last.offset + 1 }))
  end
  assert(client:delete_consumer(group, "one"))
end

local start, clock = time.seconds(), os.clock()
by[how](function(batch) assert(#batch == 1000, #batch) end)
print(string.format("%.1f %.3f %.3f", batches / (time.seconds() - start), requests / batches,
  (os.clock() - clock) / batches * 1000))
