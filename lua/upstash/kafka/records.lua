--- The loop over one partition's messages from an offset on: replays, without a group.

local loop = require "upstash.kafka.loop"
local options = require "upstash.kafka.options"

local TIMEOUT = 1000        -- milliseconds of one fetch
local BATCH_MESSAGES = 1000 -- what a server sends at most when nothing is said

local SCHEMA = {
  topic = { kind = "name", required = true },
  partition = { kind = "integer", min = 0, required = true },
  from = {
    kind = "position",
    words = { earliest = true, latest = true },
    expects = "offset, 'earliest', 'latest' or {timestamp = milliseconds}",
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
}

--- A loop over a partition, as it stands between two steps.
---@class upstash.kafka.Records
---@field position integer? the offset to fetch from; nil before the first step
---@field last number? the offset that ends the loop
---@field batch upstash.kafka.Message[] the messages of the last fetch
---@field handed integer how many of the batch the body was given
---@field left number how many messages the limit still allows
---@field narrow integer? how many messages to ask for, while larger answers could not be read
---@field last_read upstash.kafka.Position? of the last message of the last batch that was not empty
local Records = loop.class()

--- Ends the loop. There is nothing to give back; afterwards the iterator returns nil.
---@return true
function Records:close()
  self.closed = true
  return true
end

-- The offset that a position names now.
local function resolve(records, position, deadline)
  if type(position) == "number" then return position end
  local when = type(position) == "table" and position.timestamp or position
  local found = loop.insist(records.client, deadline, nil, "offsets", when,
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

-- How many messages to ask for; nil: as many as the server sends.
local function wanted(records)
  local most = records.narrow or records.max_messages
  local left = math.min(records.left, records.last - records.position)
  return left < (most or BATCH_MESSAGES) and left or most
end

-- A batch, in smaller ones while it cannot be read.
local function fetch(records, timeout, deadline)
  while true do
    local most = wanted(records)
    local messages, message, details = loop.insist(records.client, deadline, loop.unreadable, "fetch", records.topic,
      records.partition, records.position, { timeout = timeout, max_messages = most, max_bytes = records.max_bytes })
    if messages then
      if #messages > 0 then loop.widen(records, records.max_messages or BATCH_MESSAGES) end
      loop.note_read(records, messages)
      return messages
    end
    if most == 1 then loop.raise_unreadable(records, message, details) end
    loop.narrow(records, most or BATCH_MESSAGES)
  end
end

-- Fetches the next batch; leaves it empty when the loop has come to its end.
local function advance(records)
  local deadline = loop.deadline(records.idle)
  if not records.position then locate(records, deadline) end
  records.batch, records.handed = {}, 0
  if records.left == 0 or records.position >= records.last then return records:close() end
  local timeout, last
  repeat
    loop.stop_in_time()
    timeout, last = loop.poll_time(records.timeout, deadline)
    records.batch = fetch(records, timeout, deadline)
  until #records.batch > 0 or last
  if #records.batch == 0 then return records:close() end
  records.position = records.batch[#records.batch].offset + 1
end

local function next_record(records)
  if records.closed then return nil end
  if records.handed == #records.batch or loop.stopping() then loop.guard(records, advance) end
  local message = records.batch[records.handed + 1]
  if message == nil or message.offset >= records.last or records.left == 0 then
    records.closed = true
    return nil
  end
  records.handed = records.handed + 1
  records.left = records.left - 1
  return message
end

local records = {}

--- The method that core's client gets; client.lua describes it.
function records.records(client, given)
  options.check_client("records", client, 2)
  given = options.check("records", given, SCHEMA, 2)
  local state = setmetatable({
    client = client,
    topic = given.topic,
    partition = given.partition,
    from = given.from or "earliest",
    to = given.to,
    timeout = given.timeout or TIMEOUT,
    max_messages = given.max_messages,
    max_bytes = given.max_bytes,
    idle = given.idle,
    left = given.limit or math.huge,
    batch = {}, handed = 0,
  }, Records)
  return next_record, state, nil, state
end

return records
