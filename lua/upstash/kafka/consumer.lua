--- Loops over messages of a consumer group, at least once.
--
-- A message is finished when the loop asks for the next one. Finished messages are committed by the
-- next poll and when the loop ends. Others may be delivered again, and none is skipped:
--
-- * Auto-commit is off, so the server never commits a message that it only sent.
-- * The loop begins by deleting the instance, so it starts at the group's commits and not at the
--   position of an earlier run.
-- * Each consume names the last batch that arrived, and carries the positions to commit. If its
--   response is lost, the loop sends it again, and the server sends the same batch again. If the
--   server does not know the batch (it was restarted, or another one serves the instance now), it
--   refuses with a 409; the loop then asks for whatever is outstanding, with the same commits.
-- * All other requests leave the batch outstanding, so that its partitions do not move before the
--   loop has handed out all of it.
-- * A server whose responses name no batch gets a commit request before each poll. After a consume
--   whose response was lost, the loop deletes the instance, because its position may be past the
--   messages of that response.
-- * If a response cannot be read, the loop asks for the same messages again in smaller batches,
--   down to the one message at fault. It hands out those before it, then raises and names it.
-- * If the group starts at the end (`from = "latest"`), the loop commits where it started, so that
--   nothing is skipped from then on: anchor.lua.
-- * A body may take longer than the session. The loop commits finished messages in the middle of a
--   batch, and through a new instance after the old one has expired, so even such a loop makes
--   progress.

local core = require "upstash.kafka.core"
local anchor = require "upstash.kafka.anchor"
local commits = require "upstash.kafka.commits"
local host = require "upstash.kafka.host"
local instances = require "upstash.kafka.instance"
local loop = require "upstash.kafka.loop"
local options = require "upstash.kafka.options"
local positions = require "upstash.kafka.positions"

local TIMEOUT = 1000         -- milliseconds of one poll
local BATCH_MESSAGES = 1000  -- the most that a server sends by default
local SESSION_TIMEOUT = 120000
local LOST_IN_A_ROW = 3      -- lost responses, of a kind that waiting does not cure

local SCHEMA = {
  group = { kind = "name", required = true },
  instance = { kind = "name", required = true },
  topic = { kind = "name" },
  topics = { kind = "names" },
  from = {
    kind = "word",
    words = { earliest = true, latest = true, none = true },
    expects = "'earliest', 'latest' or 'none'",
  },
  timeout = { kind = "integer", min = 0 },
  max_messages = { kind = "integer", min = 1 },
  max_bytes = { kind = "integer", min = 1 },
  session_timeout = { kind = "integer", min = 1000 },
  limit = { kind = "integer", min = 0 },
  idle = { kind = "integer", min = 0 },
  stop_on_signal = loop.SIGNALS_RULE,
  on_wait = { kind = "callback" },
  on_skip = { kind = "callback" },
}

-- Failures after which the server certainly has not seen the request. After any other failure of a
-- consume the lost response may have carried messages: a 502 comes from a gateway that had passed
-- the request on, and a 200 could not be read.
local UNSENT = { connect_failed = true, resolve_failed = true, tls_failed = true }

local function may_be_lost(details)
  local status = details.status or 0
  return not (UNSENT[details.code] or status >= 400 and status < 500 or status == 503)
end

--- The state of a loop over a group's messages.
---@class upstash.kafka.Consumer
---@field batch upstash.kafka.Message[] the messages of the last poll
---@field handed integer how many messages of the batch were handed out
---@field finished integer how many of the batch are finished
---@field committed integer how many of the batch are committed
---@field explicit table<string, table<integer, integer>> positions in the batch that loop:commit has committed
---@field left number how many messages the limit still allows
---@field started boolean whether the instance on the server belongs to this loop now
---@field touched boolean whether it ever did
---@field contact number core.now of the last request that kept the instance alive
---@field extended boolean? whether the last response with messages named its batch; nil before it
---@field last string? the ID of the last batch that arrived, unless the server has forgotten it
---@field forgotten boolean? whether the server has forgotten the batch in hand
---@field unsure boolean? whether the commits of the batch in hand may be done: their consume was not answered
---@field lost integer lost responses in a row
---@field narrow integer? how many messages to ask for after larger responses could not be read
---@field last_read upstash.kafka.Position? the last message of the last batch that was not empty
---@field failures integer failures of consume in a row
---@field stop fun(self: upstash.kafka.Consumer) ends the loop after the message or batch in hand; returns at once
---@field stopped fun(self: upstash.kafka.Consumer): string|boolean the signal that stopped it, true, or false
local Consumer = loop.class()

local function new(client, given, name)
  return setmetatable({
    client = client,
    group = given.group,
    instance = name,
    topics = given.topics or { given.topic },
    subscription = given.topic or given.topics, -- as the caller gave it: errors name it
    timeout = given.timeout or TIMEOUT,
    idle = given.idle,
    on_wait = given.on_wait,
    on_skip = given.on_skip,
    left = given.limit or math.huge,
    max_messages = given.max_messages,
    consume_options = {
      auto_commit = false,
      auto_offset_reset = given.from or "latest",
      session_timeout = given.session_timeout,
      max_bytes = given.max_bytes,
    },
    heartbeat = (given.session_timeout or SESSION_TIMEOUT) / 3,
    anchor = (given.from or "latest") == "latest" and anchor.new() or nil,
    batch = {}, handed = 0, finished = 0, committed = 0, explicit = {},
    started = false, touched = false, contact = 0, lost = 0, failures = 0,
  }, Consumer)
end

-- Committing --------------------------------------------------------------------------------------

-- The position of the message in the part of the batch that was handed out, from the end; nil if it
-- is not there.
local function index_of(consumer, message)
  for index = consumer.handed, 1, -1 do
    local other = consumer.batch[index]
    if other.offset == message.offset and other.partition == message.partition and other.topic == message.topic then
      return index
    end
  end
end

-- What loop:commit is to commit: the position after the message, or after everything that was
-- handed out.
local function asked_offsets(consumer, message)
  if message then
    if commits.is_explicit(consumer, message) then return {} end
    return { { topic = message.topic, partition = message.partition, offset = message.offset + 1 } }
  end
  local finished = consumer.finished
  consumer.finished = consumer.handed
  local offsets = commits.finished_offsets(consumer)
  consumer.finished = finished
  return offsets
end

--- Commits a message now, and with it all earlier ones of its partition. Without a message, commits
--- everything that was handed out. The message must be of the batch that the loop hands out now:
--- the loop commits earlier ones by itself. Fails with code not_found if the instance is gone; the
--- loop then commits through a new one when it continues. Calls /commit.
---@param message upstash.kafka.Message?
---@return true? committed
---@return string? text
---@return upstash.kafka.Details? details
function Consumer:commit(message)
  if self.closed then error("the loop is closed", 2) end
  if message ~= nil and not options.is_message(message) then
    options.refuse("commit", "message expected, got " .. type(message), 2)
  end
  if message and not index_of(self, message) then
    options.refuse("commit", "a message of the batch in hand expected; the loop commits earlier ones by itself", 2)
  end
  local offsets = asked_offsets(self, message)
  if #offsets == 0 then return true end
  local done, text, details = loop.call_last(self, "commit", self.group, self.instance, offsets, loop.KEEPS_BATCH)
  if not done then return nil, text, details end
  for _, entry in ipairs(offsets) do positions.put(self.explicit, entry, entry.offset) end
  self.contact = core.now()
  return true
end

-- Consuming ---------------------------------------------------------------------------------------

local function start(consumer, deadline)
  if consumer.anchor then consumer.anchor:take(consumer, deadline) end
  loop.retry_until(consumer, deadline, "not_found", "delete_consumer", consumer.group,
    consumer.instance, loop.KEEPS_BATCH)
  consumer.started, consumer.touched, consumer.last = true, true, nil
end

-- Failures of a consume with commits that a consume without them may not meet: the server knows no
-- such field, or one of the topics is gone.
local MAY_BE_THE_COMMIT = { bad_request = true, not_found = true }

-- A consume that asked for `asked` messages has failed. Returns if it must be made again.
local function failed(consumer, message, details, deadline, asked, offsets)
  if details.code == "conflict" and consumer.last then
    consumer.last, consumer.forgotten = nil, true
    return
  elseif MAY_BE_THE_COMMIT[details.code] and #offsets > 0 then
    consumer.extended, consumer.last = nil, nil
    return commits.commit_finished(consumer, deadline)
  end
  consumer.failures = consumer.failures + 1
  if may_be_lost(details) then
    consumer.unsure = consumer.unsure or #offsets > 0
    if not consumer.extended or loop.unreadable(details) then consumer.started = false end
    if loop.unreadable(details) and asked > 1 then return loop.narrow(consumer, asked) end
    consumer.lost = consumer.lost + 1
    if loop.unreadable(details) and (loop.blames_message(message, details) or consumer.lost >= LOST_IN_A_ROW) then
      loop.raise_unreadable(consumer, message, details)
    end
    if not details.retriable and consumer.lost < LOST_IN_A_ROW then return end
  end
  loop.back_off(consumer, consumer.failures, message, details, deadline)
end

local function place_of(message)
  return ("%d/%d/%s"):format(message.partition, message.offset, message.topic)
end

-- Whether two messages of one place are the same: the topic may have been created again.
local function is_same(one, other)
  return one and one.timestamp == other.timestamp and one.key == other.key and one.value == other.value
end

-- Removes what is finished in the batch in hand, if the server had forgotten that batch.
local function without_finished(consumer, messages)
  if not consumer.forgotten then return messages end
  local finished, kept = {}, {}
  for index = 1, consumer.finished do
    local message = consumer.batch[index]
    finished[place_of(message)] = message
  end
  for _, message in ipairs(messages) do
    if not is_same(finished[place_of(message)], message) then kept[#kept + 1] = message end
  end
  consumer.forgotten = nil
  return kept
end

-- Takes the batch's ID from the details of a response with messages. Returns whether the commits
-- that its request carried are done.
local function note_batch(consumer, messages, details)
  if #messages == 0 then return true end
  loop.widen(consumer, consumer.max_messages or BATCH_MESSAGES)
  consumer.last = details and details.batch
  consumer.extended = consumer.last ~= nil
  return consumer.extended
end

-- Takes a response. Returns the messages, or nil if the consume must be made again.
local function taken(consumer, messages, details, deadline, offsets)
  loop.note_read(consumer, messages)
  consumer.lost, consumer.failures, consumer.contact, consumer.unsure = 0, 0, core.now(), false
  if note_batch(consumer, messages, details) then
    if #offsets > 0 then commits.note_committed(consumer, details) end
  else
    commits.commit_finished(consumer, deadline) -- the server did not know the field
    if not consumer.started then return nil end
  end
  if consumer.anchor and not consumer.anchor:hold(consumer, messages, deadline) then
    consumer.started = false
    return nil
  end
  return without_finished(consumer, messages)
end

-- Consumes once. Returns the messages, or nil if it must be done again.
local function poll(consumer, timeout, deadline)
  if not consumer.started then start(consumer, deadline) end
  local most = consumer.narrow or consumer.max_messages
  if consumer.left < (most or BATCH_MESSAGES) then most = consumer.left end
  local offsets, last = commits.finished_offsets(consumer), consumer.last
  local messages, message, details = loop.call(consumer, "consume", consumer.group,
    consumer.instance, consumer.subscription, commits.consume_options(consumer, timeout, most, offsets))
  if messages and last and details and details.batch == last then
    -- Something in between has kept an earlier response.
    messages, message = nil, "the response repeats the batch before it"
    details = { error = message, code = "connection_lost", retriable = true }
  end
  if messages then return taken(consumer, messages, details, deadline, offsets) end
  return failed(consumer, message, details, deadline, most or BATCH_MESSAGES, offsets)
end

-- Fills consumer.batch. Leaves it empty if the loop has been idle for too long.
local function take_batch(consumer, deadline)
  local messages, timeout, last
  repeat
    loop.stop_in_time(consumer)
    timeout, last = loop.poll_time(consumer.timeout, deadline)
    messages = poll(consumer, timeout, deadline)
  until messages and (#messages > 0 or last)
  loop.stop_in_time(consumer)
  for index = #messages, consumer.left + 1, -1 do messages[index] = nil end
  consumer.batch, consumer.handed, consumer.finished, consumer.committed = messages, 0, 0, 0
  consumer.explicit = {}
end

-- Leaving -----------------------------------------------------------------------------------------

-- The server does not know the instance, or the batch.
local FORGOTTEN = { not_found = true, conflict = true }

-- Commits as the loop ends. If a consume may have committed the whole batch, another instance may
-- have its partitions by now, and be further: only the batch is named then, and nothing moves back.
local function commit_last(consumer, offsets)
  local given, about = offsets, loop.KEEPS_BATCH
  if consumer.unsure then given, about = nil, { commit_batch = consumer.last } end
  if consumer.last or not consumer.unsure then
    local done, message, details = loop.call_last(consumer, "commit", consumer.group, consumer.instance, given, about)
    if done or not (consumer.extended and FORGOTTEN[details.code]) then return done, message, details end
  end
  return commits.commit_by_consume(consumer, offsets, loop.call_last)
end

-- Commits what is finished and deletes the instance. Returns the outcome of the commit.
local function leave(consumer)
  local offsets, touched = commits.finished_offsets(consumer), consumer.touched
  commits.start_again(consumer)
  local done, message, details = true, nil, nil
  if #offsets > 0 then done, message, details = commit_last(consumer, offsets) end
  if touched and (done or not host.exiting()) then
    loop.call_last(consumer, "delete_consumer", consumer.group, consumer.instance, loop.KEEPS_BATCH)
  end
  return done, message, details
end

--- Ends the loop: commits the finished messages and deletes the instance. A loop that ends or fails
-- does this, and on Lua 5.4 a loop that you leave by break, return or an error. Elsewhere call it
-- yourself after a break: `local next_message, loop = client:messages{…}`. If it fails, no message
-- is lost, but finished messages may be delivered again, and the instance lives until it expires.
-- Closing twice does nothing. Calls /commit and /delete-consumer.
---@return true? closed
---@return string? message
---@return upstash.kafka.Details? details
function Consumer:close()
  if self.closed then return true end
  self.closed = true
  local fine, done, message, details = pcall(leave, self)
  loop.forget_signals(self)
  if not fine then error(done, 2) end
  return done, message, details
end

-- Stepping ----------------------------------------------------------------------------------------

-- Finishes what was handed out. Returns whether the next message of the batch can be handed out at
-- once.
local function ready(consumer)
  consumer.finished = consumer.handed
  return consumer.handed < #consumer.batch and core.now() - consumer.contact < consumer.heartbeat
    and not loop.stopping(consumer)
end

-- Commits what is finished, unless the next consume does, and fetches the next batch if this one is
-- used up. Ends the loop if there is none.
local function advance(consumer)
  local deadline = loop.deadline(consumer.idle)
  loop.stop_in_time(consumer) -- closing the loop commits
  local polls = consumer.handed == #consumer.batch and consumer.left > 0
  if not (polls and consumer.extended) then commits.commit_finished(consumer, deadline) end
  if consumer.handed < #consumer.batch then return end
  if consumer.left > 0 then take_batch(consumer, deadline) end
  if consumer.handed < #consumer.batch then return end
  consumer:close() -- cannot fail: nothing is left to commit
end

local function next_message(consumer)
  if consumer.closed then return nil end
  if not ready(consumer) then loop.guard(consumer, advance) end
  local message = consumer.batch[consumer.handed + 1]
  if message == nil then return nil end
  consumer.handed = consumer.handed + 1
  consumer.left = consumer.left - 1
  return message
end

local function next_batch(consumer)
  if consumer.closed then return nil end
  if not ready(consumer) then loop.guard(consumer, advance) end
  local batch = consumer.batch
  if batch[1] == nil then return nil end
  consumer.handed = #batch
  consumer.left = consumer.left - #batch
  return batch
end

local function open(method, client, given)
  options.check_client(method, client, 3)
  given = options.check(method, given, SCHEMA, 3)
  if (given.topic == nil) == (given.topics == nil) then
    options.refuse(method, "topic or topics: exactly one of them expected", 3)
  end
  local name, problem = instances.expand(given.instance)
  if not name then options.refuse(method, problem, 3) end
  local state = new(client, given, name)
  loop.begin(state, method, given.stop_on_signal, 3)
  return state
end

local consumer = {}

--- The methods of a client; client.lua describes them.

function consumer.messages(client, given)
  local state = open("messages", client, given)
  return next_message, state, nil, state
end

function consumer.batches(client, given)
  local state = open("batches", client, given)
  return next_batch, state, nil, state
end

return consumer
