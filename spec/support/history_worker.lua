--- A process that produces or consumes, and records what it saw for history.lua. The environment
-- names the server.
--
--   history_worker.lua produce NAME FILE STOP
--   history_worker.lua consume NAME FILE STOP
--   history_worker.lua die NAME FILE COUNT        consumes, and kills itself at the COUNTth message
--   history_worker.lua insist NAME FILE STOP      produces to "keyed", repeating each message until
--                                                 it is acknowledged
--   history_worker.lua follow NAME FILE STOP      consumes "keyed", and stays in the group
--
-- It ends when the file STOP exists; a consumer first waits until it finds no more messages for a
-- while, and `insist` until everything that it sent is acknowledged.

local kafka = require "upstash.kafka"
local core = require "upstash.kafka.core"

local role, name, path, last = arg[1], arg[2], arg[3], arg[4]
local file = assert(io.open(path, "a"))

local function note(...)
  file:write(table.concat({ ... }, "\t"), "\n")
  file:flush()
end

local function stopped()
  local stop = io.open(last)
  if stop then stop:close() end
  return stop ~= nil
end

-- One to seven messages for both topics, some large, each value once.
local function messages_of(number)
  local messages, event = {}, {}
  for index = 1, number % 7 + 1 do
    local topic = (number + index) % 3 == 0 and "one" or "four"
    local size = (number + index) % 50 == 0 and 20000 or number % 200
    local value = ("%s-%d-%d-%s"):format(name, number, index, ("v"):rep(size))
    messages[index] = { topic = topic, value = value, key = index % 2 == 0 and "k" .. number % 10 or nil }
    event[#event + 1], event[#event + 2] = topic, value
  end
  return messages, event
end

local function produce_once(client, number)
  local messages, event = messages_of(number)
  note("try", (table.unpack or unpack)(event))
  local list, _, details = client:produce_many(messages)
  if not list then
    note("failed", details.code)
    return core.sleep(10)
  end
  local places = {}
  for _, entry in ipairs(list) do places[#places + 1], places[#places + 2] = entry.partition, entry.offset end
  note("ok", (table.unpack or unpack)(places))
  core.sleep(2)
end

local roles = {}

function roles.produce()
  local client, number = kafka.new { retries = 0, timeout = 5000 }, 0
  while not stopped() do
    number = number + 1
    produce_once(client, number)
  end
end

-- One loop, which leaves the group after a while. Returns how many messages it got; nil if it
-- failed.
local function consume_some(client, most, body)
  local count = 0
  local fine = pcall(function()
    for message in client:messages { group = "group", instance = name, topics = { "one", "four" }, from = "earliest",
      limit = most, idle = 600, timeout = 200, max_messages = 40, session_timeout = 2000 } do
      count = count + 1
      note("got", message.topic, message.partition, message.offset, message.value)
      if body then body() end
      note("done", message.topic, message.partition, message.offset)
    end
  end)
  return fine and count or nil
end

function roles.consume()
  local client = kafka.new { timeout = 5000 }
  while consume_some(client, 150) ~= 0 or not stopped() do end
end

function roles.die()
  local client, left = kafka.new(), tonumber(last)
  while true do
    consume_some(client, nil, function()
      left = left - 1
      if left == 0 then os.execute "kill -9 $PPID" end
    end)
  end
end

-- Sends the messages, and repeats those that failed, in their order.
local function insist_on(client, messages)
  while #messages > 0 do
    local event, outcome, left = {}, {}, {}
    for _, message in ipairs(messages) do event[#event + 1], event[#event + 2] = "keyed", message.value end
    note("try", (table.unpack or unpack)(event))
    local list, _, details = client:produce_many("keyed", messages)
    for index, result in ipairs(list or details.results or {}) do
      outcome[2 * index - 1], outcome[2 * index] = result.partition or "-", result.offset or result.code
      if not result.offset then left[#left + 1] = messages[index] end
    end
    if #outcome == 0 then
      note("failed", details.code)
      left = messages
    else
      note(list and "ok" or "part", (table.unpack or unpack)(outcome))
    end
    messages = left
    core.sleep(#left > 0 and 100 or 5)
  end
end

function roles.insist()
  local client, number = kafka.new { retries = 0, timeout = 40000 }, 0
  while not stopped() do
    local messages = {}
    for index = 1, 8 do
      local key = ("%s-%d"):format(name, index % 4)
      messages[index] = { key = key, value = ("%s:%d"):format(key, number + index) }
    end
    insist_on(client, messages)
    number = number + #messages
  end
end

local function follow_on(client)
  local count = 0
  for message in client:messages { group = "followers", instance = name, topic = "keyed", from = "earliest",
    idle = 12000, max_messages = 100, session_timeout = 10000 } do
    count = count + 1
    note("got", message.topic, message.partition, message.offset, message.value)
    note("done", message.topic, message.partition, message.offset)
  end
  return count
end

-- A group may stall for its session timeout while its coordinator moves. So only a loop that began
-- after the stop, and waited longer than that, has seen the end. If a loop stalls even longer it
-- raises an error about a timeout; any other error is a fault.
function roles.follow()
  local client, ended = kafka.new { timeout = 15000 }, false
  while not ended do
    local late = stopped()
    local fine, count = pcall(follow_on, client)
    if not fine then
      note("raised", tostring(count))
      local words = tostring(count)
      assert(words:find "timed out" or words:find "in time" or words:find "oordinator", count)
    end
    ended = fine and late and count == 0
  end
end

roles[role]()
