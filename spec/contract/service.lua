--- The service under test, and the functions by which the contract suite talks to it.
--
-- It is the server at CONTRACT_URL, with CONTRACT_USERNAME and CONTRACT_PASSWORD; without these our
-- own, started in this process on a free port with an empty data folder. CONTRACT_SESSION_TIMEOUT
-- is the shortest session timeout in milliseconds that the engine allows (6000 on a Kafka broker).
-- For refusals of the HTTP library, our own server must answer in JSON or HTML, as it says for this
-- system; a server at CONTRACT_URL must answer in JSON.
--
-- The suite assumes no particular engine: `eventually` waits, with a deadline, for what may take a
-- while; every test has its own topics and groups; a first consume may be empty.

local assert = require "luassert"
local busted = require "busted"
local cjson = require "cjson"
local http = require "spec.support.http"

-- Every wait lasts at least this many seconds: a bound for hangs, not for slowness.
local PATIENCE = 60

local service = {
  now = http.now,
  sleep = http.sleep,
  null = cjson.null,
  username = os.getenv "CONTRACT_USERNAME" or "contract",
  password = os.getenv "CONTRACT_PASSWORD" or "p:ss wörd",
  session_timeout = tonumber(os.getenv "CONTRACT_SESSION_TIMEOUT" or 1000),
  http_refusals = "JSON",
  EARLIEST = { ["Kafka-Auto-Offset-Reset"] = "earliest" },
  MANUAL = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Enable-Auto-Commit"] = "false" },
}

-- Starting and stopping -----------------------------------------------------------------------

local own

local function start_own()
  local server = require "spec.support.server"
  own = server.start { username = service.username, password = service.password }
  service.http_refusals = require "upstash.kafka.server".refusals_are_json and "JSON" or "HTML"
  return own.url
end

--- Call it first in the outermost describe of a spec file, to provide the service for its tests.
function service.attach()
  busted.lazy_setup(function()
    service.url = os.getenv "CONTRACT_URL" or start_own()
    service.client = http.client(service.url, service.username, service.password)
  end)
  busted.lazy_teardown(function()
    if service.client then service.client:close() end
    if own then own:stop() end
    own = nil
  end)
end

-- Names ---------------------------------------------------------------------------------------

local prefix = ("ct%x"):format(math.floor(http.now() * 1e6) % 2 ^ 31)
local count = 0

--- A name that no other test and no other run uses.
function service.name(stem)
  count = count + 1
  return ("%s-%s-%d"):format(prefix, stem or "name", count)
end

-- JSON ----------------------------------------------------------------------------------------

local encode

local function encode_object(object)
  local names = {}
  for name in pairs(object) do table.insert(names, name) end
  table.sort(names)
  for index, name in ipairs(names) do names[index] = ("%q:%s"):format(name, encode(object[name])) end
  return "{" .. table.concat(names, ",") .. "}"
end

local function encode_list(list)
  local items = {}
  for index, item in ipairs(list) do items[index] = encode(item) end
  return "[" .. table.concat(items, ",") .. "]"
end

function encode(value)
  if type(value) == "number" and value % 1 == 0 then return ("%.0f"):format(value) end
  if type(value) ~= "table" then return cjson.encode(value) end
  return (value[1] ~= nil and encode_list or encode_object)(value)
end

--- A value as JSON, with integers as integers. A table with a first element is an array.
service.json = encode

-- A number in a response that is not a plain integer, or nil. The contract has only integers.
local function odd_number(text)
  local bare = text:gsub("\\.", ""):gsub('"[^"]*"', '""')
  return bare:match "%-?%d+[.eE][%d+-]*" or bare:match "%-0%f[^%d]" or bare:match "%f[%d]0%d+"
end

--- The decoded JSON body of a response, whatever its status.
function service.decode(response)
  local kind = response.headers["content-type"] or "no Content-Type"
  assert.is_truthy(kind:find "^application/json", "expected JSON, got " .. kind)
  local fine, value = pcall(cjson.decode, response.body)
  assert.is_true(fine, "not JSON: " .. response.body:sub(1, 200))
  local odd = odd_number(response.body)
  assert.is_nil(odd, ("%s is no plain integer: %s"):format(tostring(odd), response.body:sub(1, 200)))
  return value
end

-- Requests ------------------------------------------------------------------------------------

-- Requests that change nothing more if they are repeated.
local REPEATABLE = {
  "^/+fetch", "^/+offsets/", "^/+committed/", "^/+topics/?$", "^/+consumers", "^/+consume/", "^/+commit/",
  "^/+delete%-consumer/",
}

local function is_repeatable(path)
  if path:find "timeout=0%f[%D]" then return false end
  for _, pattern in ipairs(REPEATABLE) do
    if path:find(pattern) then return true end
  end
  return false
end

-- While a busy Kafka broker cannot answer, a client may send a request again: after a 503, because
-- nothing was executed, and after a 504 if it is repeatable, unless its timeout is 0.
local function is_busy(path, response)
  return response.status == 503 or response.status == 504 and is_repeatable(path)
end

-- The deletion before this one, which got a 504, was carried out.
local function was_deleted(path, before, response)
  return before == 504 and response.status == 404 and path:find "^/+delete%-consumer/"
end

--- Sends a request and returns the response. Repeats it, as a client may, while Kafka is busy.
function service.request(method, path, options)
  local deadline, before = service.now() + PATIENCE, nil
  while true do
    local response = service.client:request(method, path, options)
    if was_deleted(path, before, response) then
      response.status, response.body = 200, '{"result":"Success","status":200}'
    end
    if not is_busy(path, response) or service.now() > deadline then return response end
    before = response.status
    service.sleep(0.1)
  end
end

--- Starts a request, for http.collect and service.response.
function service.start(method, path, options)
  local pending = service.client:start(method, path, options)
  pending.path, pending.options = path, options
  return pending
end

--- The response to a request that was collected. Repeats it as service.request does.
function service.response(pending)
  if not is_busy(pending.path, pending.response) then return pending.response end
  return service.request(pending.method, pending.path, pending.options)
end

function service.get(path, options)
  return service.request("GET", path, options)
end

--- `body` is the text of the body, or a table to be sent as JSON, or nil.
function service.post(path, body, options)
  local all = { body = type(body) == "table" and encode(body) or body }
  for name, value in pairs(options or {}) do all[name] = value end
  return service.request("POST", path, all)
end

function service.delete(path, options)
  return service.request("DELETE", path, options)
end

--- Asserts that the request was served, and returns the decoded body.
function service.ok(response)
  local status = response.status
  if status ~= 200 then
    error(("expected 200, got %d %s"):format(status, response.body:sub(1, 300)), 2)
  end
  return service.decode(response)
end

local function assert_status(response, statuses, level)
  statuses = type(statuses) == "table" and statuses or { statuses }
  for _, status in ipairs(statuses) do
    if status == response.status then return end
  end
  local expected = table.concat(statuses, " or ")
  error(("expected %s, got %d %s"):format(expected, response.status, response.body:sub(1, 300)), level + 1)
end

--- Asserts an error answer: one of the statuses (a number or a list), the shape of the contract,
-- and that the text holds each of the words given. Returns the text.
function service.refused(response, statuses, ...)
  assert_status(response, statuses, 2)
  local value = service.decode(response)
  local said = ("%d %s"):format(response.status, response.body:sub(1, 300))
  assert.equal("string", type(value.error), said)
  assert.equal(response.status, value.status, said)
  assert.is_truthy(response.body:find('"status"%s*:%s*' .. response.status .. "%s*[,}]"), said)
  assert.is_true(#value.error > 0, "the error has no text")
  for _, word in ipairs { ... } do
    if not value.error:find(word, 1, true) then
      error(("the error does not name %q: %s"):format(word, value.error), 2)
    end
  end
  return value.error
end

--- As service.refused, for requests that the HTTP library may have refused: where its refusals are
-- HTML, the answer may be an HTML page on a connection that closes. Returns whether it is.
function service.refused_early(response, statuses)
  if service.http_refusals == "JSON" or response.headers["content-type"] then
    service.refused(response, statuses)
    return false
  end
  assert_status(response, statuses, 2)
  assert.equal("close", response.headers.connection)
  -- libmicrohttpd 0.9.75 sends the head of some pages twice.
  local start = response.body:gsub("^HTTP/1%.1 " .. response.status .. " .*", "<html>"):sub(1, 6)
  assert.equal("<html>", start, response.body)
  return true
end

--- Sends bytes that are not valid HTTP; asserts an early refusal and the end of the connection.
function service.refuses_bytes(bytes, statuses)
  local connection = service.client:connect()
  connection:send(bytes)
  local is_page = service.refused_early(connection:receive "GET", statuses)
  local ends = connection:ends()
  assert.is_true(ends or is_page and connection.closed, "the connection stays open, or more follows the answer")
  connection:close()
end

--- Calls `attempt` until it returns a true value, and returns that; raises after `seconds`, but not
-- before a minute.
function service.eventually(seconds, attempt)
  seconds = math.max(seconds, PATIENCE)
  local deadline = service.now() + seconds
  while true do
    local result, said = attempt()
    if result then return result end
    if service.now() > deadline then
      error(("not within %g s%s"):format(seconds, said and ": " .. tostring(said) or ""), 2)
    end
    service.sleep(0.02)
  end
end

--- Calls `attempt`, which returns a response, until one took less than `seconds`: a server that
-- always waits is never that fast, but even a slow machine sometimes is.
function service.quickly(seconds, attempt)
  service.eventually(30, function()
    local response = attempt()
    return response.seconds < seconds, response.seconds .. " s"
  end)
end

-- The contract's verbs, for tests of something else ------------------------------------------

--- Creates a new topic for a test and returns its name. Repeats the request if the engine did not
-- answer in time (504), which is safe: an existing topic with the same settings is a success.
function service.topic(partitions, stem)
  local topic = service.name(stem or "topic")
  local response
  for _ = 1, 3 do
    response = service.post("/topics/" .. topic, { partitions = partitions or 1 })
    if response.status ~= 504 then break end
  end
  assert.is_true(response.status == 200 or response.status == 201, response.body)
  service.eventually(10, function() return service.ok(service.get "/topics")[topic] end)
  return topic
end

--- Produces messages (a list, or one value as text) and returns their metadata.
function service.produce(topic, messages)
  if type(messages) == "string" then messages = { { value = messages } } end
  return service.ok(service.post("/produce/" .. topic, messages))
end

--- Produces `total` messages "1", "2", … to one partition, in one request.
function service.fill(topic, total, partition)
  local messages = {}
  for number = 1, total do
    messages[number] = { value = tostring(number), partition = partition or 0 }
  end
  return service.produce(topic, messages)
end

--- Fetches from an offset of a partition on: available messages, or those that arrive within the
-- timeout.
function service.fetch(topic, partition, offset, timeout)
  return service.ok(service.post("/fetch", {
    topic = topic, partition = partition, offset = offset, timeout = timeout or 1000,
  }))
end

--- Fetches until `total` messages of a partition have arrived.
function service.fetch_all(topic, partition, total)
  local messages = {}
  service.eventually(10, function()
    for _, message in ipairs(service.fetch(topic, partition, #messages)) do
      table.insert(messages, message)
    end
    return #messages >= total, #messages .. " messages"
  end)
  assert.equal(total, #messages)
  return messages
end

local function as_list(value)
  return type(value) == "table" and value or { value }
end

--- One consume of a topic (or a list), with the headers given.
function service.consume(group, instance, topics, headers, timeout)
  local body = { topics = as_list(topics), timeout = timeout or 200 }
  local path = ("/consume/%s/%s"):format(group, instance)
  return service.ok(service.post(path, body, { headers = headers }))
end

--- Consumes until `total` messages have arrived, and returns all of them.
function service.consume_all(group, instance, topics, total, headers)
  local messages = {}
  service.eventually(15, function()
    for _, message in ipairs(service.consume(group, instance, topics, headers)) do
      table.insert(messages, message)
    end
    return #messages >= total, ("%d of %d messages"):format(#messages, total)
  end)
  return messages
end

--- One group in GET /consumers: { instance = { topic = {partition, …} } }.
function service.assignment(group)
  local instances = {}
  for _, entry in ipairs(service.ok(service.get "/consumers")) do
    for _, instance in ipairs(entry.name == group and entry.instances or {}) do
      local topics = {}
      for _, held in ipairs(instance.topics) do topics[held.topic] = held.partitions end
      instances[instance.name] = topics
    end
  end
  return instances
end

--- Consumes with an instance until it holds partitions; returns what it consumed meanwhile.
function service.join(group, instance, topics, headers)
  local messages = {}
  service.eventually(15, function()
    for _, message in ipairs(service.consume(group, instance, topics, headers, 50)) do
      table.insert(messages, message)
    end
    return next(service.assignment(group)[instance] or {}), "no partitions"
  end)
  return messages
end

--- The group's committed offset, or -1.
function service.committed(group, topic, partition)
  local body = { topic = topic, partition = partition or 0 }
  local offsets = service.ok(service.post(("/committed/%s/nobody"):format(group), body))
  assert.equal(1, #offsets)
  return offsets[1].offset
end

--- "TOPIC/PARTITION" of a message or position.
function service.place(each)
  return ("%s/%d"):format(each.topic, each.partition)
end

--- The end offset of a partition.
function service.end_offset(topic, partition)
  local body = { topic = topic, partition = partition or 0 }
  return service.ok(service.post("/offsets/latest", body))[1].offset
end

--- The values of messages, in their order.
function service.values(messages)
  local values = {}
  for index, message in ipairs(messages) do values[index] = message.value end
  return values
end

return service
