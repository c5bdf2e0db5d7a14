--- A process that produces to a topic or consumes it, and records what it saw: a line "WORD VALUE"
-- for each message. The environment names the server.
--
--   round_robin_worker.lua produce TOPIC FILE STOP              words: stored, unsure
--   round_robin_worker.lua consume TOPIC FILE STOP GROUP NAME   with client:messages; words: got,
--                                                               raised (the error, not a value)
--   round_robin_worker.lua latest TOPIC FILE STOP GROUP NAME    the same, from the end of the topic
--   round_robin_worker.lua auto TOPIC FILE STOP GROUP NAME      with client:consume, auto-commit;
--                                                               word: got
--
-- It ends when the file STOP exists.

local kafka = require "upstash.kafka"
local core = require "upstash.kafka.core"

local role, topic, path, stop, group, name = (table.unpack or unpack)(arg)
local file = assert(io.open(path, "a"))

local function note(word, value)
  file:write(word, " ", value, "\n")
  file:flush()
end

local function stopped()
  local handle = io.open(stop)
  if handle then handle:close() end
  return handle ~= nil
end

local roles = {}

function roles.produce()
  local client, number = kafka.new { retries = 0, timeout = 5000 }, 0
  while not stopped() do
    number = number + 1
    local value = ("value-%d"):format(number)
    note(client:produce(topic, value) and "stored" or "unsure", value)
    core.sleep(5)
  end
end

-- After this long without a message (milliseconds) a loop turns a failure into an error. On a busy
-- machine a killed server may cost as much, so retriable failures are retried and not recorded.
local IDLE = 5000

local function passes(problem)
  return type(problem) == "table" and problem.retriable
end

local function consume_some(client, from)
  for message in client:messages { group = group, instance = name, topic = topic, from = from, timeout = 500,
    idle = IDLE } do
    note("got", message.value)
  end
end

local function consume(from)
  local client = kafka.new { timeout = 10000 }
  while not stopped() do
    local fine, problem = pcall(consume_some, client, from)
    if not fine and not passes(problem) then note("raised", tostring(problem)) end
  end
end

function roles.consume() consume "earliest" end

function roles.latest() consume "latest" end

function roles.auto()
  local client = kafka.new { timeout = 10000 }
  while not stopped() do
    local messages = client:consume(group, name, topic, { auto_offset_reset = "earliest", timeout = 500 })
    for _, message in ipairs(messages or {}) do note("got", message.value) end
    if not messages then core.sleep(100) end
  end
end

roles[role]()
