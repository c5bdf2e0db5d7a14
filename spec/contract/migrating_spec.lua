-- docs/migrating.md, line by line: each row of its tables is a test here, under the text of its
-- first cell. The clients' requests are what those programs send, byte for byte where it matters.

local mime = require "mime"

local service = require "spec.contract.service"

local PAGE = "docs/migrating.md"
local KIB = 1024

local topic -- of one test

local function credentials()
  return mime.b64(service.username .. ":" .. service.password)
end

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function values()
  return service.values(service.fetch_all(topic, 0, service.end_offset(topic)))
end

-- Sends a request unchanged except for the topic's name, and expects it to store one message with
-- this value.
local function stores(expected, method, path, options)
  local fill = function(text) return text and (text:gsub("TOPIC", topic)) end
  local response = service.request(method, fill(path), {
    headers = options.headers, auth = options.auth, body = fill(options.body),
  })
  service.ok(response)
  assert.same({ expected }, values())
end

local function refuses(status, body, ...)
  service.refused(service.post("/produce/" .. topic, body), status, ...)
  assert.equal(0, service.end_offset(topic))
end

local function engine()
  return service.ok(service.get "/health").engine
end

local rows = {}

-- Clients -------------------------------------------------------------------------------------

rows["JavaScript, `@upstash/kafka`"] = function()
  stores('{"hello":"world"}', "POST", "/produce", {
    body = [[{"topic":"TOPIC","value":"{\"hello\":\"world\"}"}]],
    headers = { ["Content-Type"] = "application/json", Accept = "*/*", ["User-Agent"] = "node" },
  })
end

rows["`fetch` in a page, a worker or Node.js"] = function()
  stores("hello world", "GET", "/produce/TOPIC/hello%20world", {
    auth = "Basic " .. credentials(),
    headers = { Origin = "https://app.example.com", ["Sec-Fetch-Mode"] = "cors", ["Sec-Fetch-Site"] = "cross-site" },
  })
end

rows["Python, `requests` or `httpx`"] = function()
  stores("temperature", "POST", "/produce/TOPIC", {
    body = '{"value": "temperature", "key": null, "headers": null}',
    headers = { ["User-Agent"] = "python-requests/2.31.0", Accept = "*/*", Connection = "keep-alive",
      ["Content-Type"] = "application/json" },
  })
end

rows["C#, `Upstash.Kafka.Client`"] = function()
  stores("Product 1", "POST", "/produce", {
    body = '[{"topic":"TOPIC","value":"Product 1"}]',
    headers = { ["Content-Type"] = "text/plain; charset=utf-8" },
  })
end

rows["Go, `net/http`"] = function()
  stores("a message", "GET", "/produce/TOPIC/a%20message?key=my+key", {
    headers = { ["User-Agent"] = "Go-http-client/1.1" },
  })
  assert.equal("my key", service.fetch_all(topic, 0, 1)[1].key)
end

rows["ESP8266, `ESP8266HTTPClient`"] = function()
  stores("21.5", "POST", "/produce/TOPIC", {
    body = '{"value":21.5}',
    headers = { ["User-Agent"] = "ESP8266HTTPClient", Connection = "close" },
  })
end

rows["curl"] = function()
  stores("hello", "POST", "/produce/TOPIC", {
    body = '[{"value": "hello"},]',
    headers = { ["User-Agent"] = "curl/7.88.1", Accept = "*/*",
      ["Content-Type"] = "application/x-www-form-urlencoded" },
  })
end

rows["webhooks, QStash"] = function()
  local path = ("/webhook?topic=TOPIC&user=%s&pass=%s"):format(escape(service.username), escape(service.password))
  stores("hello world", "POST", path, { auth = "Bearer of-another-service", body = "hello world" })
end

-- Stricter ------------------------------------------------------------------------------------

rows["an unknown field in a body"] = function()
  refuses(400, '{"valeu": "x"}', "valeu", '"value"')
end

rows["an unknown query parameter, unless its name starts with `_`, except on `/webhook`"] = function()
  service.refused(service.get(("/produce/%s/x?keey=k"):format(topic)), 400, "keey", '"key"')
  assert.equal(0, service.end_offset(topic))
  service.ok(service.get(("/produce/%s/x?_=1"):format(topic)))
  service.ok(service.post(("/webhook?topic=%s&keey=k"):format(topic), "x"))
end

rows["a topic name outside `A-Z a-z 0-9 . _ -`, or longer than 249 characters"] = function()
  for _, name in ipairs { "caf%C3%A9", ("a"):rep(250) } do
    service.refused(service.post("/produce/" .. name, { value = "x" }), 400, "topic")
  end
end

rows["a partition that the topic does not have"] = function()
  refuses(400, '{"value": "x", "partition": 1}', "no partition 1; it has 1")
end

rows["a `timestamp` outside 1 to 2^53: a clock that counts nanoseconds"] = function()
  refuses(400, '{"value": "x", "timestamp": 1764000000000000000}', "timestamp", "9007199254740992")
  refuses(400, '{"value": "x", "timestamp": 0}', "timestamp")
end

rows["text that is not UTF-8, without `Kafka-Encoding: base64`"] = function()
  refuses(400, '{"value": "caf\233"}', "UTF-8")
end

rows["`topic` in the path and another one in the body"] = function()
  refuses(400, '{"topic": "another", "value": "x"}', "another", topic)
end

rows["a trailing comma inside a value that is an object or array"] = function()
  refuses(400, '{"value": {"a": 1,}}', "comma")
  service.ok(service.post("/produce/" .. topic, '{"value": {"a": 1},}'))
end

rows["a message of more than 1 MiB"] = function()
  refuses(413, { value = ("x"):rep(KIB * KIB + 1) }, tostring(KIB * KIB))
end

rows["an internal topic of Kafka, such as `__consumer_offsets`"] = function()
  service.refused(service.post("/produce/__consumer_offsets", { value = "x" }), 404)
  service.refused(service.delete "/topics/__consumer_offsets", 404)
end

rows["more live instances in a group than its topics have partitions"] = function()
  local group = service.name "group"
  service.join(group, "one", topic)
  local response = service.post(("/consume/%s/two"):format(group), { topic = topic })
  service.refused(response, 429)
end

rows["a request that another site's page makes without a script: a link, an image, a form"] = function()
  for _, mode in ipairs { "navigate", "no-cors" } do
    local headers = { ["Sec-Fetch-Site"] = "cross-site", ["Sec-Fetch-Mode"] = mode }
    service.refused(service.get(("/produce/%s/x"):format(topic), { headers = headers }), 403)
  end
  assert.equal(0, service.end_offset(topic))
end

-- Different -----------------------------------------------------------------------------------

rows["the URL"] = function()
  assert.is_truthy(service.url:find "^http://[^/]+:%d+$")
end

rows["credentials"] = function()
  service.refused(service.get("/topics", { auth = false }), 401)
  service.refused(service.get("/topics", { auth = "Basic " .. mime.b64(service.username .. ":wrong") }), 401)
  local created = service.name "created"
  assert.equal(201, service.post("/topics/" .. created, "{}").status)
  service.ok(service.delete("/topics/" .. created))
end

rows["retention"] = function()
  if engine() ~= "log" then return pending "a Kafka cluster has a retention of its own" end
  service.produce(topic, { { value = "old", timestamp = 1 } })
  assert.same({ "old" }, values())
end

rows["`+` in a path"] = function()
  service.ok(service.get(("/produce/%s/a+b"):format(topic)))
  assert.same({ "a+b" }, values())
end

rows["several messages in one produce"] = function()
  if engine() ~= "log" then return pending "a Kafka cluster stores one message after another" end
  refuses(400, '[{"value": "x"}, {"value": "y", "partition": 7}]', "[1]: ", "partition 7")
end

-- Added ---------------------------------------------------------------------------------------

rows["topics are created and deleted over REST"] = function()
  local created = service.name "created"
  assert.equal(201, service.post("/topics/" .. created, '{"partitions": 3}').status)
  service.eventually(10, function() return service.ok(service.get "/topics")[created] == 3 end)
  service.ok(service.delete("/topics/" .. created))
end

rows["arbitrary bytes"] = function()
  local headers = { ["Kafka-Encoding"] = "base64" }
  service.ok(service.post("/produce/" .. topic, { value = mime.b64 "\0\255" }, { headers = headers }))
  local body = { topic = topic, partition = 0, offset = 0 }
  local messages = service.ok(service.post("/fetch", body, { headers = headers }))
  assert.equal("\0\255", mime.unb64(messages[1].value))
end

rows["null values"] = function()
  service.ok(service.post("/produce/" .. topic, '{"key": "k", "value": null}'))
  assert.equal(service.null, service.fetch_all(topic, 0, 1)[1].value)
end

rows["a produce that can be repeated after a lost response"] = function()
  local options = { headers = { ["Idempotency-Key"] = service.name "key" } }
  local first = service.post("/produce/" .. topic, '{"value": "once"}', options)
  local repeated = service.post("/produce/" .. topic, '{"value": "once"}', options)
  assert.equal("true", repeated.headers["idempotent-replayed"])
  assert.same(service.ok(first), service.ok(repeated))
  assert.equal(1, service.end_offset(topic, 0))
end

rows["a consume that can be repeated after a lost response"] = function()
  local group = service.name "group"
  service.fill(topic, 3)
  local path = ("/consume/%s/one/%s?timeout=10000"):format(group, topic)
  local function ask()
    return service.get(path, { headers = { ["Kafka-Ack"] = "none", ["Kafka-Auto-Offset-Reset"] = "earliest" } })
  end
  local first
  service.eventually(30, function()
    first = ask()
    return #service.ok(first) > 0
  end)
  local again = ask()
  assert.equal(first.headers["kafka-batch"], again.headers["kafka-batch"])
  assert.same(service.ok(first), service.ok(again))
end

rows["calls from pages in a browser"] = function()
  local response = service.get("/topics", { headers = { Origin = "https://app.example.com" } })
  assert.equal("*", response.headers["access-control-allow-origin"])
end

rows["bounds for one response"] = function()
  service.fill(topic, 3)
  local body = { topic = topic, partition = 0, offset = 0, max_messages = 2 }
  assert.same({ "1", "2" }, service.values(service.ok(service.post("/fetch", body))))
end

rows["gzip in both directions"] = function()
  local gzip = require "spec.contract.gzip"
  service.produce(topic, ("x"):rep(8 * KIB))
  local body = { topic = topic, partition = 0, offset = 0 }
  local response = service.post("/fetch", body, { headers = { ["Accept-Encoding"] = "gzip" } })
  assert.equal("gzip", response.headers["content-encoding"])
  assert.equal(("x"):rep(8 * KIB), service.ok(gzip.undo(response))[1].value)
end

rows["a health check"] = function()
  assert.equal("ok", service.ok(service.get("/health", { auth = false })).status)
end

-- Left out ------------------------------------------------------------------------------------

local function is_absent(path)
  return function() service.refused(service.get(path), 404, "no such path") end
end

rows["the schema registry, `/schema-registry/…`"] = is_absent "/schema-registry/subjects"
rows["connectors"] = is_absent "/connectors"
rows["the management API, `api.upstash.com/v2/kafka/…`"] = is_absent "/v2/kafka/clusters"

rows["Kafka's own protocol on port 9092"] = function()
  local connection = service.client:connect()
  connection:send "\0\0\0\10\0\18\0\0\0\0\0\1\255\255" -- Kafka's ApiVersions request
  for _ = 1, 3 do service.ok(service.get "/topics") end
  connection:take()
  -- libmicrohttpd 1.0 refuses the bytes at once; 0.9.75 waits for the rest of a request.
  local said = connection.buffer
  assert.is_true(said == "" or said:find "^HTTP/1%.1 400 " ~= nil, said)
  connection:close()
end

-- The page ------------------------------------------------------------------------------------

-- The first cells of the page's tables, in order.
local function cells(text)
  local list, previous = {}, ""
  for line in text:gmatch "[^\n]+" do
    local cell = line:match "^| (.-) |"
    if cell and not cell:find "^%-%-%-" and previous:find "^|" then list[#list + 1] = cell end
    previous = line
  end
  return list
end

describe("docs/migrating.md:", function()
  service.attach()
  before_each(function() topic = service.topic(1) end)

  for name, test in pairs(rows) do it(name, test) end

  it("each row of the page has a test, and each test a row", function()
    local file = io.open(PAGE)
    if not file then return pending("no " .. PAGE .. " here: the installed rocks bring no docs") end
    local listed = {}
    for _, cell in ipairs(cells(file:read "*a")) do
      listed[cell] = true
      assert.is_truthy(rows[cell], "no test: " .. cell)
    end
    file:close()
    for name in pairs(rows) do assert.is_truthy(listed[name], "no row: " .. name) end
  end)
end)
