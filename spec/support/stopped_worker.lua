--- A process that consumes a topic until a signal stops it, and records what it got: a line
-- "VALUE MILLISECONDS" for each message, by the system's monotonic clock. The environment names the
-- server.
--
--   stopped_worker.lua GROUP INSTANCE TOPIC FILE [BODY [TIMEOUT]]
--
-- BODY is how many milliseconds a message takes, TIMEOUT the option of the loop. Prints the result
-- of loop:stopped() at the end.

local core = require "upstash.kafka.core"
local kafka = require "upstash.kafka"

local group, instance, topic, path, body, timeout = (table.unpack or unpack)(arg)
local file = assert(io.open(path, "a"))

local next_message, loop = kafka.new():messages {
  group = group, instance = instance, topic = topic, from = "earliest", timeout = tonumber(timeout),
  stop_on_signal = true,
}

io.stdout:write "started\n"
io.stdout:flush()
for message in next_message, loop do
  file:write(("%s %d\n"):format(message.value, core.now()))
  file:flush()
  if body then core.sleep(tonumber(body)) end
end
io.stdout:write("stopped by ", tostring(loop:stopped()), "\n")
