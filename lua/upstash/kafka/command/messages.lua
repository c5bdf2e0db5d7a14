--- `upstash-kafka consume` and `fetch`.

local command_client = require "upstash.kafka.command.client"
local command_line = require "upstash.kafka.command.line"
local format = require "upstash.kafka.command.format"

local SESSION_TIMEOUT = 10000   -- milliseconds that a killed command keeps its partitions
local STOP_SIGNALS = { "INT", "TERM", "HUP" }

local FORMAT = {
  name = "format", value = "text|json", kind = "choice", choices = { "text", "json" }, default = "text",
  about = "print the value, or a JSON object, on each line",
}

-- Returns a name that no other run has, so that several runs share the partitions.
local function make_instance()
  local file = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(6) or tostring(os.time())
  if file then file:close() end
  return "cli-" .. bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
end

-- The loop commits a batch when it asks for the next one. By then the messages must be written, and
-- not only be in a buffer.
local function print_batches(next_batch, loop, to_line)
  local printed, progress = 0, format.progress("printed", true)
  for batch in next_batch, loop do
    for _, message in ipairs(batch) do command_client.write(to_line(message)) end
    local fine, message = io.stdout:flush()
    if not fine then command_line.fail("standard output: %s", message) end
    printed = printed + #batch
    progress:show(printed)
  end
  progress:done()
end

-- Says why the command prints nothing.
local function report_wait(message, details)
  local text = details.status == 429 and "waiting: " .. message or message .. "; trying again"
  io.stderr:write("upstash-kafka: ", text, "\n")
  io.stderr:flush()
end

local function consume(given)
  local client, topics = command_client.client(given), {}
  -- the loop would wait for the server; the command fails at once
  command_client.need(client:topics())
  for index, topic in ipairs(given) do topics[index] = topic end
  local several = #topics > 1 -- a message about a single one names no list
  local next_batch, loop = client:batches {
    group = given.group, instance = given.instance or make_instance(), topic = not several and topics[1] or nil,
    topics = several and topics or nil, from = given.from, limit = given.count,
    session_timeout = SESSION_TIMEOUT, stop_on_signal = STOP_SIGNALS, on_wait = report_wait,
  }
  local fine, err = pcall(print_batches, next_batch, loop, format.formats[given.format])
  loop:close()
  if not fine then error(err, 0) end
  command_line.end_by_signal(loop:stopped())
end

-- The messages up to the end of the partition when the command starts. If there are none, those
-- that arrive within a second.
local function fetch_options(client, given)
  local options = { topic = given[1], partition = given.partition, from = given.offset, limit = given.count }
  local partition = { topic = options.topic, partition = options.partition }
  local function at(name) return command_client.need(client:offsets(name, partition))[1].offset end
  if type(options.from) == "string" then options.from = at(options.from) end
  local last = at "latest"
  if options.from < last then options.to = last else options.idle = 1000 end
  return options
end

local function fetch(given)
  local client, to_line = command_client.client(given), format.formats[given.format]
  local printed, progress = 0, format.progress("printed", true)
  for message in client:records(fetch_options(client, given)) do
    command_client.write(to_line(message))
    printed = printed + 1
    progress:show(printed)
  end
  progress:done()
end

return {
  consume = {
    name = "consume", words = "TOPIC… --group NAME [OPTION]…", least = 1, most = 256, run = consume,
    about = [[
Prints messages as they arrive, as an instance of a consumer group. Printed messages are committed, so the next run
continues after them; it prints again what this run had not finished. As text, each value is a line, and a tombstone is
an empty line. A JSON object has topic, partition, offset, timestamp, key, value and headers.]],
    options = command_client.options {
      { name = "group", value = "NAME", kind = "name", required = true,
        about = "the consumer group; its instances share the messages" },
      { name = "instance", value = "NAME", kind = "name",
        about = "the name of this instance; default: a random one" },
      { name = "from", value = "earliest|latest", kind = "choice", choices = { "earliest", "latest" },
        default = "latest", about = "where to start if the group has no commit" },
      { name = "count", value = "N", kind = "integer", min = 1,
        about = "end after this many messages; default: never" },
      FORMAT,
    },
  },
  fetch = {
    name = "fetch", words = "TOPIC --partition N --offset N|earliest|latest [OPTION]…", least = 1, most = 1,
    run = fetch,
    about = [[
Prints the messages of a partition, without a group, from an offset up to the end of the partition when the command
starts. From the end itself, prints the messages that arrive within a second. The formats are those of consume.]],
    options = command_client.options {
      { name = "partition", value = "N", kind = "integer", required = true, about = "the partition, from 0" },
      { name = "offset", value = "N|earliest|latest", kind = "position", required = true, about = "where to start" },
      { name = "count", value = "N", kind = "integer", min = 1, about = "end after this many messages" },
      FORMAT,
    },
  },
}
