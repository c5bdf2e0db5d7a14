--- A process that produces to a topic or consumes it, and writes what it saw for delivery.lua. The
-- environment names the server.
--
--   delivery_worker.lua ROLE NAME FILE STOP TOPIC [GROUP] [COUNT]
--
-- Roles that produce, until the file STOP exists or COUNT requests are done:
--
--   calls       client:produce_many, which retries
--   once        client:produce_many without retries
--   producer    client:producer, flushed after every few messages
--   curl_plain  curl, each request once
--   curl_keys   curl with an Idempotency-Key, repeated until there is an outcome
--
-- Roles that consume, until STOP exists and nothing comes for a while:
--
--   messages     client:messages; a message is finished when the loop's body is
--   batches      client:batches; a batch is handled when the loop's body is done, and finished when
--                the next one has come
--   consume      client:consume; each batch counts as finished when it has come
--   curl_take    curl without the headers of batches: a batch is finished when it has come
--   curl_acks    curl with Kafka-Ack: each batch is finished when it has come
--
-- nginx runs the same: require("spec.support.delivery_worker").run(role, …).

local cjson = require "cjson"
local core = require "upstash.kafka.core"
local kafka = require "upstash.kafka"

local unpack = table.unpack or unpack

-- Long enough for a server that is killed and starts again on a busy machine.
local CLIENT = { retries = 1000, retry_delay = 10, retry_delay_max = 200, timeout = 60000, idempotent = true }
local SESSION = 60000 -- ms
local TIMEOUT = tonumber(os.getenv "DELIVERY_TIMEOUT" or "") or 300 -- ms, of a loop's poll
local IDLE = TIMEOUT + 400 -- ms

local worker = {}

local Worker = {}
Worker.__index = Worker

function Worker:note(...)
  self.file:write(table.concat({ ... }, "\t"), "\n")
  self.file:flush()
end

function Worker:stopped()
  local stop = io.open(self.stop)
  if stop then stop:close() end
  return stop ~= nil or (self.count ~= nil and self.number >= self.count)
end

local function sleep(milliseconds)
  if rawget(_G, "ngx") then return ngx.sleep(milliseconds / 1000) end -- luacheck: ignore ngx
  core.sleep(milliseconds)
end

-- Producing ---------------------------------------------------------------------------------------

-- After these a request is surely not carried out. These requests are well-formed: a server that
-- calls one malformed has not read all of it.
local REFUSED = { bad_request = true, connect_failed = true, resolve_failed = true, too_many = true,
  unavailable = true }

-- One to five messages for the next request; some are large.
function Worker:next_messages()
  self.number = self.number + 1
  local messages, values = {}, {}
  for index = 1, self.number % 5 + 1 do
    local size = (self.number + index) % 40 == 0 and 9000 or 7 * self.number % 150
    values[index] = ("%s-%d-%d-%s"):format(self.name, self.number, index, ("v"):rep(size))
    messages[index] = { value = values[index], key = self.name .. (self.number + index) % 8 }
  end
  return messages, values
end

function Worker:note_stored(list)
  local places = {}
  for _, entry in ipairs(list) do places[#places + 1], places[#places + 2] = entry.partition, entry.offset end
  self:note("acknowledged", self.number, unpack(places))
end

local function state_of(result)
  if result.offset then return "acknowledged" end
  return REFUSED[result.code] and "refused" or "unknown"
end

function Worker:note_failed(details)
  if details.results then
    local states = {}
    for index, result in ipairs(details.results) do states[index] = state_of(result) end
    return self:note("mixed", self.number, unpack(states))
  end
  self:note(REFUSED[details.code] and "refused" or "unknown", self.number, details.code)
end

local roles = {}

local function produce(self, client)
  while not self:stopped() do
    local messages, values = self:next_messages()
    self:note("sent", self.number, unpack(values))
    local list, _, details = client:produce_many(self.topic, messages)
    if list then self:note_stored(list) else self:note_failed(details) end
    sleep(self.pause)
  end
end

function roles.calls(self) produce(self, kafka.new(CLIENT)) end

function roles.once(self) produce(self, kafka.new { retries = 0, timeout = 30000 }) end

-- Messages are acknowledged together, without their places.
local function flush(self, producer, sent)
  local fine, _, details = producer:flush(60000)
  for _, id in ipairs(sent) do
    if fine then self:note("acknowledged", id, "-", "-") else self:note("unknown", id, details.code) end
  end
end

function roles.producer(self)
  local producer = kafka.new(CLIENT):producer { topic = self.topic, batch_messages = 7, linger = 1 }
  while not self:stopped() do
    local messages, sent = self:next_messages(), {}
    for index, message in ipairs(messages) do
      local id = self.number .. "." .. index
      self:note("sent", id, message.value)
      assert(producer:send(nil, message.value, { key = message.key }))
      sent[index] = id
    end
    flush(self, producer, sent)
  end
  producer:close(60000)
end

-- Runs curl. Returns the status, the headers and the body; nil if there is no whole response.
local function curl(self, path, body, headers)
  local words = { "curl -sS -m 30 -i -X POST" }
  for name, value in pairs(headers or {}) do words[#words + 1] = ("-H '%s: %s'"):format(name, value) end
  local environment = os.getenv
  words[#words + 1] = ("-u '%s:%s' --data-binary @%s.body '%s%s' 2>>%s.curl && echo && echo whole"):format(
    environment "UPSTASH_KAFKA_REST_USERNAME", environment "UPSTASH_KAFKA_REST_PASSWORD", self.path,
    environment "UPSTASH_KAFKA_REST_URL", path, self.path)
  local file = assert(io.open(self.path .. ".body", "wb"))
  file:write(body)
  file:close()
  local pipe = io.popen(table.concat(words, " "))
  local output = pipe:read "*a"
  pipe:close()
  local whole = output:match "^(.*)\nwhole\n$"
  if not whole then return nil end
  local status, head, rest = whole:match "^HTTP/1.1 (%d+)[^\r\n]*(\r\n.-\r\n)\r\n(.*)$"
  return tonumber(status), head, rest
end

local function note_curl(self, status, body)
  if status == 200 then return self:note_stored(cjson.decode(body)) end
  self:note((status == 503 or status == 429) and "refused" or "unknown", self.number, status or "cut")
end

function roles.curl_plain(self)
  while not self:stopped() do
    local messages, values = self:next_messages()
    self:note("sent", self.number, unpack(values))
    local status, _, body = curl(self, "/produce/" .. self.topic, cjson.encode(messages))
    note_curl(self, status, body)
  end
end

function roles.curl_keys(self)
  while not self:stopped() do
    local messages, values = self:next_messages()
    local status, body, _
    repeat
      self:note("sent", self.number, unpack(values))
      status, _, body = curl(self, "/produce/" .. self.topic, cjson.encode(messages),
        { ["Idempotency-Key"] = ("%s-%s-%d"):format(self.topic, self.name, self.number) })
      note_curl(self, status, body)
      if status == 422 then error("the key is another request's: " .. body) end
    until status == 200
  end
end

-- Consuming ---------------------------------------------------------------------------------------

function Worker:note_received(batch, message)
  self:note("received", batch, message.partition, message.offset, message.value)
end

function Worker:note_finished(message)
  self:note("finished", message.partition, message.offset)
end

function Worker:loop_options()
  return { group = self.group, instance = self.name, topic = self.topic, from = "earliest", idle = IDLE,
    timeout = TIMEOUT, max_messages = 40, session_timeout = SESSION }
end

-- Runs a loop again and again, until it has found nothing after STOP existed. A loop that raises a
-- retriable failure has waited for longer than its `idle`.
function Worker:repeat_loop(body)
  repeat
    local late = self:stopped()
    local fine, count = pcall(body)
    if not fine then
      self:note("raised", (tostring(count):gsub("[\t\n]", " ")))
      local passes = type(count) == "table" and (count.retriable or count.code == os.getenv "DELIVERY_PASSES")
      if not passes then error(count, 0) end
      sleep(50)
    end
  until late and fine and count == 0
end

function roles.messages(self)
  local client = kafka.new(CLIENT)
  self:repeat_loop(function()
    local count = 0
    for message in client:messages(self:loop_options()) do
      count = count + 1
      self:note_received("-", message)
      self:note_finished(message)
    end
    return count
  end)
end

function roles.batches(self)
  local client, held = kafka.new(CLIENT), {}
  self:repeat_loop(function()
    local count = 0
    for batch in client:batches(self:loop_options()) do
      count = count + 1
      for _, message in ipairs(held) do self:note_finished(message) end
      for _, message in ipairs(batch) do self:note_received("-", message) end
      held = batch
      sleep(self.pause)
      for _, message in ipairs(batch) do self:note("handled", message.partition, message.offset) end
    end
    for _, message in ipairs(held) do self:note_finished(message) end
    held = {}
    return count
  end)
end

function Worker:take(batch, messages)
  for _, message in ipairs(messages) do self:note_received(batch, message) end
  for _, message in ipairs(messages) do self:note_finished(message) end
end

function roles.consume(self)
  local client = kafka.new(CLIENT)
  local late, messages
  repeat
    late = self:stopped()
    messages = client:consume(self.group, self.name, self.topic,
      { auto_offset_reset = "earliest", timeout = 300, max_messages = 40, session_timeout = SESSION })
    if messages then self:take("-", messages) end
  until late and messages and #messages == 0
end

local READ = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Session-Timeout-Ms"] = SESSION }

local function curl_consume(self, ack)
  local headers = { ["Kafka-Ack"] = ack }
  for name, value in pairs(READ) do headers[name] = value end
  return curl(self, ("/consume/%s/%s"):format(self.group, self.name),
    cjson.encode { topic = self.topic, timeout = 300, max_messages = 40 }, headers)
end

function roles.curl_take(self)
  local late, messages
  repeat
    late, messages = self:stopped(), nil
    local status, _, body = curl_consume(self)
    if status == 200 then
      messages = cjson.decode(body)
      self:take("-", messages)
    end
  until late and messages and #messages == 0
end

function roles.curl_acks(self)
  local ack, late, messages = "none"
  repeat
    late, messages = self:stopped(), nil
    local status, head, body = curl_consume(self, ack)
    if status == 200 then
      messages = cjson.decode(body)
      local batch = head:match "\r\n[Kk]afka%-[Bb]atch: ([^\r]+)"
      self:take(batch or "-", messages)
      ack = batch or ack
    elseif status == 409 then
      ack = "none"
    end
  until late and messages and #messages == 0
end

--- Runs a role in this process. `settings`: name, path, stop, topic, group, count.
function worker.run(role, settings)
  local self = setmetatable({ number = 0, pause = tonumber(os.getenv "DELIVERY_PAUSE") or 1 }, Worker)
  for name, value in pairs(settings) do self[name] = value end
  self.file = assert(io.open(self.path, "a"))
  roles[role](self)
  self.file:close()
end

if arg and arg[0] and arg[0]:match "delivery_worker%.lua$" then
  worker.run(arg[1], { name = arg[2], path = arg[3], stop = arg[4], topic = arg[5], group = arg[6],
    count = tonumber(arg[7]) })
end

return worker
