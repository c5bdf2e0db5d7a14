--- `upstash-kafka produce`: a message from the command line, or one for each line of standard
-- input.

local command_client = require "upstash.kafka.command.client"
local command_line = require "upstash.kafka.command.line"
local format = require "upstash.kafka.command.format"

local BATCH_LINES = 1000
local BATCH_LINES_MAX = 10000
local BATCH_BYTES = 1024 * 1024          -- of lines in one request; the last line may exceed it
local LINE_BYTES_MAX = 256 * 1024 * 1024 -- as the largest request body that a server accepts
local LINGER = 100                       -- milliseconds that a line waits for more lines
local STOP_SIGNALS = { "INT", "TERM", "HUP" } -- end the input; what was read is still delivered

local function message_options(given)
  return { key = given.key, headers = given.header, partition = given.partition }
end

-- Names the option where the library names its own.
local function in_words_of_command(message)
  return (message:gsub("binary = true sends", "--binary sends"))
end

local function produce_one(client, given)
  local metadata, message = client:produce(given[1], given[2], message_options(given))
  if not metadata then command_line.fail("%s", in_words_of_command(message:gsub("^message 1: ", ""))) end
  command_client.write(("topic=%s partition=%d offset=%d timestamp=%s\n"):format(metadata.topic, metadata.partition,
    metadata.offset, format.digits(metadata.timestamp)))
end

-- Lines of standard input -------------------------------------------------------------------------

local Lines = {}
Lines.__index = Lines

---@param core table
---@param watch upstash.kafka.Signals of the signals that end the input
local function new_lines(core, watch)
  return setmetatable({ core = core, watch = watch, pieces = {}, bytes = 0, ready = {}, first = 1, last = 0 }, Lines)
end

function Lines:add(line)
  self.last = self.last + 1
  self.ready[self.last] = line
end

-- Keeps a piece of the line that has not ended yet.
function Lines:keep(piece)
  self.pieces[#self.pieces + 1] = piece
  self.bytes = self.bytes + #piece
  if self.bytes > LINE_BYTES_MAX then
    command_line.fail("standard input: a line is longer than %s bytes", format.number(LINE_BYTES_MAX))
  end
end

function Lines:end_line()
  self:add(table.concat(self.pieces))
  self.pieces, self.bytes = {}, 0
end

function Lines:split(text)
  local from = 1
  while true do
    local at = text:find("\n", from, true)
    if not at then break end
    self:keep(text:sub(from, at - 1))
    self:end_line()
    from = at + 1
  end
  if from <= #text then self:keep(text:sub(from)) end
end

-- Reads what arrives within that many milliseconds; -1 waits without a limit. A terminal reports
-- the end once, so nothing is read after it. A signal ends the input too, but not a line: the rest
-- of that is unknown.
function Lines:read(milliseconds)
  local text, message = self.core.read_input(milliseconds, self.watch)
  self.signal = self.watch:arrived()
  if message and not self.signal then command_line.fail("%s", message) end
  self.ended = self.signal ~= nil or text == nil
  if text then
    self:split(text)
  elseif not message and #self.pieces > 0 then
    self:end_line()
  end
end

-- Returns the next line, or nil if there is none before `deadline` (core.now; nil: no limit).
function Lines:next(deadline)
  while self.first > self.last and not self.ended do
    local left = deadline and deadline - self.core.now()
    if left and left < 0 then return nil end
    self:read(left and math.ceil(left) or -1)
  end
  if self.first > self.last then return nil end
  local line = self.ready[self.first]
  self.ready[self.first] = nil
  self.first = self.first + 1
  return line
end

-- Messages ----------------------------------------------------------------------------------------

local FIELDS = { topic = true, partition = true, offset = true, timestamp = true, key = true, value = true,
  headers = true }

-- Reads a line as consume and fetch print it. The place of the message, its topic, partition and
-- offset, is not kept. They print a message without a key with the key "".
local function message_of_json(line, given)
  local decoded, problem = require("upstash.kafka.json").decode(line)
  if problem then return nil, problem end
  if type(decoded) ~= "table" then return nil, "a JSON object expected" end
  for name in pairs(decoded) do
    if not FIELDS[name] then return nil, ("unknown field %q"):format(tostring(name)) end
  end
  if decoded.value == nil then return nil, "value is missing" end
  return {
    value = decoded.value, -- null is a tombstone
    key = given.key or decoded.key ~= "" and decoded.key or nil,
    headers = given.header or decoded.headers,
    partition = given.partition,
    timestamp = decoded.timestamp,
  }
end

local function message_of_text(line, given)
  local message = message_options(given)
  message.value = line
  return message
end

local readers = { text = message_of_text, json = message_of_json }

-- Reads lines as messages until the batch is full, the input ends, or LINGER has passed since the
-- first. Returns an empty list at the end.
local function read_batch(lines, given, done)
  local messages, bytes, deadline = {}, 0, nil
  while #messages < given.batch and bytes < BATCH_BYTES do
    local line = lines:next(deadline)
    if not line then break end
    deadline = deadline or lines.core.now() + LINGER
    local message, problem = readers[given.format](line, given)
    if not message then return messages, ("line %d: %s"):format(done + #messages + 1, problem) end
    messages[#messages + 1] = message
    bytes = bytes + #line
  end
  return messages
end

local function fail(done, problem)
  command_line.fail("%s; %s", problem, done == 0 and "no line was produced" or done == 1 and "line 1 was produced"
    or ("lines 1 to %s were produced"):format(format.number(done)))
end

local function send_batch(client, given, messages, done)
  local fine, sent, message = pcall(client.produce_many, client, given[1], messages)
  if fine and sent then return end
  message = in_words_of_command(fine and message or command_line.reason(sent))
  local index, problem = message:match "^message (%d+): (.*)$"
  if index then fail(done, ("line %d: %s"):format(done + index, problem)) end
  fail(done, ("lines %d to %d were not produced: %s"):format(done + 1, done + #messages, message))
end

-- Returns the number of messages that were produced.
local function produce_all(client, given, lines)
  local done, progress = 0, format.progress("produced", false)
  while true do
    local messages, problem = read_batch(lines, given, done)
    if #messages > 0 then send_batch(client, given, messages, done) end
    done = done + #messages
    if problem then fail(done, problem) end
    if #messages == 0 then break end
    progress:show(done)
  end
  progress:done()
  return done
end

local function report(done, given, lines)
  local stopped = lines.signal and ("stopped by SIG%s; "):format(lines.signal) or ""
  local cut = lines.signal and #lines.pieces > 0 and "; the last line had not ended and was not produced" or ""
  io.stderr:write(("upstash-kafka: %sproduced %s to %s%s\n"):format(stopped, format.count(done), given[1], cut))
end

local function produce_lines(client, given)
  local core = require "upstash.kafka.core"
  local watch = command_client.need(core.watch_signals(STOP_SIGNALS))
  local lines = new_lines(core, watch)
  local fine, done = pcall(produce_all, client, given, lines)
  watch:close()
  if not fine then error(done, 0) end
  report(done, given, lines)
  command_line.end_by_signal(lines.signal)
end

local function produce(given)
  if given.batch > BATCH_LINES_MAX then
    command_line.misuse("produce: --batch: at most %d expected, got %d", BATCH_LINES_MAX, given.batch)
  end
  local client = command_client.client(given)
  if given[2] then produce_one(client, given) else produce_lines(client, given) end
end

return {
  produce = {
    name = "produce", words = "TOPIC [TEXT] [OPTION]…", least = 1, most = 2, run = produce,
    about = [[
Produces TEXT and prints where it was stored. Without TEXT, produces each line of standard input and prints their
number on standard error. Lines are sent together, and none waits for others for more than 100 ms. SIGTERM, SIGHUP and
SIGINT end the input: lines that were read are still produced. Write -- before a TEXT that begins with a dash.]],
    options = command_client.options {
      { name = "key", value = "TEXT", kind = "text", about = "the key of each message" },
      { name = "header", value = "KEY=VALUE", kind = "pair", many = true,
        about = "a header of each message; may be repeated" },
      { name = "partition", value = "N", kind = "integer", about = "default: chosen by the key, or spread" },
      { name = "format", value = "text|json", kind = "choice", choices = { "text", "json" }, default = "text",
        about = "what a line of standard input is: a value, or an object as consume and fetch print it" },
      { name = "binary", kind = "flag", about = "send any bytes, not only UTF-8" },
      { name = "idempotent", kind = "flag",
        about = "the server honours Idempotency-Key: send a request again if its response is lost" },
      { name = "batch", value = "N", kind = "integer", min = 1, default = BATCH_LINES,
        about = ("lines in one request, at most %d and about 1 MiB"):format(BATCH_LINES_MAX) },
    },
  },
}
