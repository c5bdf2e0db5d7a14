--- The loop over the messages of one partition, from an offset on, without a group.

local loop = require "upstash.kafka.loop"
local options = require "upstash.kafka.options"

local TIMEOUT = 1000        -- milliseconds of one fetch
local BATCH_MESSAGES = 1000 -- the most that a server sends by default

local SCHEMA = {
  topic = { kind = "name", required = true },
  partition = { kind = "integer", min = 0, required = true },
  from = {
    kind = "position",
    words = { earliest = true, latest = true },
    messages = true,
    expects = "offset, 'earliest', 'latest', {timestamp = milliseconds} or message",
  },
  to = {
    kind = "position",
    words = { latest = true },
    expects = "offset, 'latest' or {timestamp = milliseconds}",
  },
  timeout = { kind = "integer", min = 0 },
  max_messages = { kind = "integer", min = 1 },
  max_bytes = { kind = "integer", min = 1 },
  limit = { kind = "integer", min = 0 },
  idle = { kind = "integer", min = 0 },
  stop_on_signal = loop.SIGNALS_RULE,
  on_wait = { kind = "callback" },
}

--- The state of a loop over a partition.
---@class upstash.kafka.Records
---@field position integer? the offset to fetch from; nil before the first fetch
---@field last number? the first offset that is not handed out
---@field batch upstash.kafka.Message[] the messages of the last fetch
---@field handed integer how many messages of the batch were handed out
---@field left number how many messages the limit still allows
---@field narrow integer? how many messages to ask for after larger responses could not be read
---@field last_read upstash.kafka.Position? the last message of the last batch that was not empty
---@field stop fun(self: upstash.kafka.Records) ends the loop after the message in hand; returns at once
---@field stopped fun(self: upstash.kafka.Records): string|boolean the signal that stopped it, true, or false
local Records = loop.class()

--- Ends the loop: the iterator returns nil from now on. The server holds nothing for this loop.
---@return true
function Records:close()
  self.closed = true
  loop.forget_signals(self)
  return true
end

-- A loop that begins behind a message.
local function behind(given)
  local from = given.from
  if not options.is_message(from) then return from end
  if from.topic ~= given.topic or from.partition ~= given.partition then
    local text = 'from: a message of topic "%s", partition %d expected, got one of topic "%s", partition %d'
    options.refuse("records", text:format(given.topic, given.partition, from.topic, from.partition), 3)
  end
  return from.offset + 1
end

-- Returns the offset that a position stands for now.
local function resolve(records, position, deadline)
  if type(position) == "number" then return position end
  local when = type(position) == "table" and position.timestamp or position
  local found = loop.retry_until(records, deadline, nil, "offsets", when,
    { topic = records.topic, partition = records.partition })
  if not found[1] then
    loop.raise("offsets: one offset expected, got an empty list", { code = "bad_response", retriable = false })
  end
  return found[1].offset
end

local function locate(records, deadline)
  records.last = records.to and resolve(records, records.to, deadline) or math.huge
  records.position = resolve(records, records.from, deadline)
end

-- How many messages to ask for; nil for the server's default.
local function batch_size(records)
  local most = records.narrow or records.max_messages
  local left = math.min(records.left, records.last - records.position)
  return left < (most or BATCH_MESSAGES) and left or most
end

-- Fetches a batch, a smaller one if it cannot be read.
local function fetch(records, timeout, deadline)
  while true do
    local most = batch_size(records)
    local messages, message, details = loop.retry_until(records, deadline, loop.unreadable, "fetch",
      records.topic, records.partition, records.position,
      { timeout = timeout, max_messages = most, max_bytes = records.max_bytes })
    if messages then
      if #messages > 0 then loop.widen(records, records.max_messages or BATCH_MESSAGES) end
      loop.note_read(records, messages)
      return messages
    end
    if most == 1 then loop.raise_unreadable(records, message, details) end
    loop.narrow(records, most or BATCH_MESSAGES)
  end
end

-- Fetches the next batch. Leaves it empty and closes the loop if the loop ends here.
local function advance(records)
  local deadline = loop.deadline(records.idle)
  loop.stop_in_time(records)
  if not records.position then locate(records, deadline) end
  records.batch, records.handed = {}, 0
  if records.left == 0 or records.position >= records.last then return records:close() end
  local timeout, last
  repeat
    loop.stop_in_time(records)
    timeout, last = loop.poll_time(records.timeout, deadline)
    records.batch = fetch(records, timeout, deadline)
  until #records.batch > 0 or last
  loop.stop_in_time(records)
  if #records.batch == 0 then return records:close() end
  records.position = records.batch[#records.batch].offset + 1
end

local function next_record(records)
  if records.closed then return nil end
  if records.handed == #records.batch or loop.stopping(records) then
    loop.guard(records, advance)
    if records.closed then return nil end
  end
  local message = records.batch[records.handed + 1]
  if message == nil or message.offset >= records.last or records.left == 0 then
    records:close()
    return nil
  end
  records.handed = records.handed + 1
  records.left = records.left - 1
  return message
end

local records = {}

--- The method of a client; client.lua describes it.
function records.records(client, given)
  options.check_client("records", client, 2)
  given = options.check("records", given, SCHEMA, 2)
  local state = setmetatable({
    client = client,
    topic = given.topic,
    partition = given.partition,
    from = behind(given) or "earliest",
    to = given.to,
    timeout = given.timeout or TIMEOUT,
    max_messages = given.max_messages,
    max_bytes = given.max_bytes,
    idle = given.idle,
    on_wait = given.on_wait,
    left = given.limit or math.huge,
    batch = {}, handed = 0,
  }, Records)
  loop.begin(state, "records", given.stop_on_signal, 2)
  return next_record, state, nil, state
end

return records
