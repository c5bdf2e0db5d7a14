-- for: core.c, arguments.c, build.c, build_consume.c, build_produce.c, build_read.c, build_topic.c,
-- calls.c, clock_lua.c, compat.c, failure.c, options.c, retry_lua.c. The module upstash.kafka.core:
-- what each call sends, what it returns for a response, and what it refuses.

local exact = math.type ~= nil -- 64-bit integers, 5.3 and later
local unpack = table.unpack or unpack -- luacheck: compat
local newproxy = rawget(_G, "newproxy") -- 5.1 and LuaJIT

local globals = {}
for name in pairs(_G) do globals[name] = true end
local core = require "upstash.kafka.core"
local touched = {}
for name in pairs(_G) do
  if not globals[name] then touched[#touched + 1] = name end
end

local URL = "http://127.0.0.1:8080"

local function new(options)
  local all = { url = URL, username = "user", password = "secret" }
  for name, value in pairs(options or {}) do all[name] = value end
  return core.new(all)
end

local client = new()

-- What a method returns for that response.
local function answer(method, body, status, headers)
  local request = { name = method }
  return client:finish(request, status or 200, headers, body)
end

local function message_of(fields)
  local all = { topic = '"t"', partition = "0", offset = "5", timestamp = "9", key = '""', value = '"v"',
    headers = "[]" }
  for name, value in pairs(fields or {}) do all[name] = value or nil end
  local list = {}
  for _, name in ipairs { "topic", "partition", "offset", "timestamp", "key", "value", "headers" } do
    if all[name] then list[#list + 1] = '"' .. name .. '":' .. all[name] end
  end
  return "{" .. table.concat(list, ",") .. "}"
end

-- The message without its metatable.
local function plain(message)
  local copy = {}
  for name, value in pairs(message) do copy[name] = value end
  return copy
end

describe("the module", function()
  it("touches no global", function()
    assert.same({}, touched)
  end)

  it("has its version, its errors and the endpoints", function()
    assert.truthy(core._VERSION:match "^%d+%.%d+%.%d+$")
    assert.equal("userdata", type(core.null))
    assert.same({ code = "bad_request", status = 400, retriable = false, text = "the request is malformed" },
      core.errors[1])
    local codes = {}
    for _, row in ipairs(core.errors) do codes[row.code] = row end
    assert.is_true(codes.connect_failed.retriable)
    assert.is_nil(codes.connect_failed.status)
    local paths = {}
    for _, row in ipairs(core.endpoints) do paths[row.name] = row end
    assert.same({ name = "fetch", methods = { "GET", "POST" }, path = "/fetch" }, paths.fetch)
    assert.same({ name = "delete_consumer", methods = { "POST", "DELETE" },
      path = "/delete-consumer/{group}/{instance}" }, paths.delete_consumer)
    assert.same({ name = "topics", methods = { "GET", "HEAD" }, path = "/topics" }, paths.topics)
    assert.same({ name = "delete_topic", methods = { "DELETE" }, path = "/topics/{topic}" }, paths.delete_topic)
  end)

  it("has the errors of docs/errors.md, in their order", function()
    local page = assert(io.open("docs/errors.md"))
    local documented = {}
    for code, status, retriable, text in page:read("*a"):gmatch "| `([%a_]+)` | (%S+) | (%a+) | ([^\n]-) |\n" do
      documented[#documented + 1] =
        { code = code, status = tonumber(status), retriable = retriable == "yes", text = text }
    end
    page:close()
    assert.is_true(#documented > 20)
    assert.same(documented, core.errors)
  end)

  it("has a method for each call, and the rest of a client", function()
    local names = {}
    for name in pairs(core.methods) do names[name] = true end
    for _, name in ipairs { "produce", "produce_many", "webhook", "consume", "commit", "committed", "delete_consumer",
      "consumers", "fetch", "offsets", "topics", "create_topic", "delete_topic", "health", "prepare", "finish",
      "fail", "settings", "close" } do
      assert.is_true(names[name], name)
    end
    assert.is_nil(names.__gc)
  end)

  it("B2: takes null for a client's optional options", function()
    local given = { url = "https://host", ca_file = core.null, timeout = core.null, binary = core.null,
      encode = core.null, retries = core.null }
    assert.same(new({ url = "https://host" }):settings(), new(given):settings())
  end)
end)

describe("settings", function()
  it("are the given options and the defaults, without the credentials", function()
    assert.same({ url = "https://host/kafka", timeout = 7, connect_timeout = 5000, retries = 0, retry_delay = 100,
      retry_delay_max = 10000, max_response_bytes = 134217728, binary = true, verify = false, compress = false,
      idempotent = false, ca_file = "/ca.pem" },
      new({ url = "https://host/kafka//", timeout = 7, retries = 0, binary = true,
      verify = false, ca_file = "/ca.pem" }):settings())
  end)

  it("name the unix socket of the URL", function()
    for url, path in pairs {
      ["http://unix:/run/kafka.sock"] = "/topics",
      ["http://unix:/run/kafka.sock:/"] = "/topics",
      ["http://unix:/run/kafka.sock:/api/v1/"] = "/api/v1/topics",
    } do
      local other = new { url = url }
      assert.equal("/run/kafka.sock", other:settings().socket)
      assert.equal(path, other:prepare("topics").path)
      assert.equal("http://localhost" .. path, other:prepare("topics").url)
    end
    assert.equal("/" .. ("s"):rep(106), new({ url = "http://unix:/" .. ("s"):rep(106) }):settings().socket)
    assert.equal("upstash.kafka.client (http://unix:/run/kafka.sock)",
      tostring(new { url = "http://unix:/run/kafka.sock" }))
    assert.equal("upstash.kafka.client (http://unix:/run/kafka.sock:/api)",
      tostring(new { url = "http://unix:/run/kafka.sock:/api/" }))
  end)

  it("are gone once the client is closed", function()
    local other = new()
    other:close()
    assert.has_error(function() other:settings() end, "client is closed")
  end)
end)

-- Requests ------------------------------------------------------------------------------------

local base64 = { Authorization = "Basic dXNlcjpzZWNyZXQ=", ["Content-Type"] = "application/json",
  ["Kafka-Encoding"] = "base64" }
local json = { Authorization = "Basic dXNlcjpzZWNyZXQ=", ["Content-Type"] = "application/json" }
local bare = { Authorization = "Basic dXNlcjpzZWNyZXQ=" }

local function with(headers, more)
  local all = {}
  for name, value in pairs(headers) do all[name] = value end
  for name, value in pairs(more) do all[name] = value end
  return all
end

-- { what, { arguments of prepare }, method, path, headers, body, wait }
local many_headers, many_headers_json = {}, {}
for i = 100, 140 do
  many_headers["h" .. i] = i
  many_headers_json[#many_headers_json + 1] = '{"key":"h' .. i .. '","value":"' .. i .. '"}'
end

-- A map of headers and its JSON. The client sorts up to 16 names without allocating memory.
local function numbered_headers(count)
  local map, texts = {}, {}
  for index = 101, 100 + count do
    map["h" .. index] = index
    texts[#texts + 1] = ('{"key":"h%d","value":"%d"}'):format(index, index)
  end
  return map, "[" .. table.concat(texts, ",") .. "]"
end

local requests = {
  { "a produce", { "produce", "t", "hello" }, "POST", "/produce/t", json, '{"value":"hello"}' },
  { "a produce with everything", { "produce", "t", "v", { key = "k", partition = 2, timestamp = 1700000000000,
    headers = { b = "2", a = 1 } } }, "POST", "/produce/t", json,
    '{"partition":2,"timestamp":1700000000000,"key":"k","value":"v","headers":' ..
    '[{"key":"a","value":"1"},{"key":"b","value":"2"}]}' },
  { "headers in their order, keys repeated", { "produce", "t", "v", { headers = { { key = "b", value = "1" },
    { key = "a", value = "2" }, { key = "b", value = 3 } } } }, "POST", "/produce/t", json,
    '{"value":"v","headers":[{"key":"b","value":"1"},{"key":"a","value":"2"},{"key":"b","value":"3"}]}' },
  { "many headers, sorted", { "produce", "t", "v", { headers = many_headers } }, "POST", "/produce/t", json,
    '{"value":"v","headers":[' .. table.concat(many_headers_json, ",") .. "]}" },
  { "no headers", { "produce", "t", "v", { headers = {} } }, "POST", "/produce/t", json, '{"value":"v"}' },
  { "an empty value and key", { "produce", "t", "", { key = "" } }, "POST", "/produce/t", json,
    '{"key":"","value":""}' },
  { "a tombstone", { "produce", "t", core.null, { key = "k" } }, "POST", "/produce/t", json,
    '{"key":"k","value":null}' },
  { "numbers as their text", { "produce", "t", 12, { key = 5 } }, "POST", "/produce/t", json,
    '{"key":"5","value":"12"}' },
  { "floats that are integers", { "produce", "t", "v", { partition = 2.0, timestamp = 5.0 } }, "POST", "/produce/t",
    json, '{"partition":2,"timestamp":5,"value":"v"}' },
  { "2^53 as a timestamp", { "produce", "t", "v", { timestamp = 2 ^ 53 } }, "POST", "/produce/t", json,
    '{"timestamp":9007199254740992,"value":"v"}' },
  { "text that needs escapes", { "produce", "t", 'a"\\\n\0\226\130\172' }, "POST", "/produce/t", json,
    '{"value":"a\\"\\\\\\n\\u0000\226\130\172"}' },
  { "a name that needs escapes", { "produce", "a/b?c%20.", "v" }, "POST", "/produce/a%2Fb%3Fc%2520.", json,
    '{"value":"v"}' },
  { "many to one topic", { "produce_many", "t", { { value = "1" }, { value = core.null, key = "k", partition = 0 },
    { value = 3, timestamp = 4, headers = { h = "x" } } } }, "POST", "/produce/t", json,
    '[{"value":"1"},{"partition":0,"key":"k","value":null},{"timestamp":4,"value":"3","headers":' ..
    '[{"key":"h","value":"x"}]}]', nil, 3 },
  { "many to many topics", { "produce_many", { { topic = "a", value = "1" }, { topic = "b", value = "2" } } }, "POST",
    "/produce", json, '[{"topic":"a","value":"1"},{"topic":"b","value":"2"}]', nil, 2 },
  { "a webhook", { "webhook", "t", "\0raw\255" }, "POST", "/webhook?topic=t",
    with(bare, { ["Content-Type"] = "application/octet-stream" }), "\0raw\255" },
  { "a webhook with headers", { "webhook", "t&u", "{}", { headers = { ["content-type"] = "application/json",
    ["X-Event"] = "push", ["X-Empty"] = "", ["X-At"] = "12:30: noon" } } }, "POST", "/webhook?topic=t%26u",
    with(bare, { ["content-type"] = "application/json", ["X-Event"] = "push", ["X-Empty"] = "",
    ["X-At"] = "12:30: noon" }), "{}" },
  { "an empty webhook", { "webhook", "t", "" }, "POST", "/webhook?topic=t", bare, nil },
  { "a consume", { "consume", "g", "i", "t" }, "POST", "/consume/g/i", json, '{"topic":"t"}', 1000 },
  { "a consume with everything", { "consume", "g", "i/1", { "t", "u" }, { timeout = 0, auto_commit = false,
    auto_commit_interval = 100, auto_offset_reset = "earliest", session_timeout = 5000, max_messages = 7,
    max_bytes = 8 } }, "POST", "/consume/g/i%2F1", with(json, { ["Kafka-Enable-Auto-Commit"] = "false",
    ["Kafka-Auto-Commit-Interval"] = "100", ["Kafka-Auto-Offset-Reset"] = "earliest",
    ["Kafka-Session-Timeout-Ms"] = "5000" }), '{"topics":["t","u"],"timeout":0,"max_messages":7,"max_bytes":8}', 0 },
  { "auto_commit = true, which it sends too", { "consume", "g", "i", "t", { auto_commit = true, timeout = 2500 } },
    "POST", "/consume/g/i", with(json, { ["Kafka-Enable-Auto-Commit"] = "true" }), '{"topic":"t","timeout":2500}',
    2500 },
  { "a consume that acknowledges and commits", { "consume", "g", "i", "t", { ack = "none", commit_batch = "a~1",
    commit = { topic = "t", partition = 0, offset = 5 }, max_messages = 1 } }, "POST", "/consume/g/i",
    with(json, { ["Kafka-Ack"] = "none", ["Kafka-Commit"] = "a~1" }),
    '{"topic":"t","max_messages":1,"commit":[{"topic":"t","partition":0,"offset":5}]}', 1000 },
  { "a consume that commits a list", { "consume", "g", "i", "t", { ack = ("!"):rep(64), commit = {
    { topic = "t", partition = 0, offset = 5 }, { topic = "u", partition = 1, offset = 0 } } } }, "POST",
    "/consume/g/i", with(json, { ["Kafka-Ack"] = ("!"):rep(64) }),
    '{"topic":"t","commit":[{"topic":"t","partition":0,"offset":5},{"topic":"u","partition":1,"offset":0}]}', 1000 },
  { "a commit that acknowledges", { "commit", "g", "i", nil, { ack = "b-1", commit_batch = "b-1" } }, "POST",
    "/commit/g/i", with(bare, { ["Kafka-Ack"] = "b-1", ["Kafka-Commit"] = "b-1" }), nil },
  { "a commit of one that acknowledges nothing", { "commit", "g", "i", { topic = "t", partition = 0, offset = 5 },
    { ack = "none" } }, "POST", "/commit/g/i", with(json, { ["Kafka-Ack"] = "none" }),
    '{"topic":"t","partition":0,"offset":5}' },
  { "a deletion that commits", { "delete_consumer", "g", "i", { commit_batch = "b-1", ack = core.null } }, "POST",
    "/delete-consumer/g/i", with(bare, { ["Kafka-Commit"] = "b-1" }), nil },
  { "a commit of all", { "commit", "g", "i" }, "POST", "/commit/g/i", bare, nil },
  { "a commit of one", { "commit", "g", "i", { topic = "t", partition = 0, offset = 5 } }, "POST", "/commit/g/i", json,
    '{"topic":"t","partition":0,"offset":5}' },
  { "a commit of a list", { "commit", "g", "i", { { topic = "t", partition = 0, offset = 5 },
    { topic = "u", partition = 1, offset = 0 } } }, "POST", "/commit/g/i", json,
    '[{"topic":"t","partition":0,"offset":5},{"topic":"u","partition":1,"offset":0}]' },
  { "committed", { "committed", "g", "i", { { topic = "t", partition = 0 } } }, "POST", "/committed/g/i", json,
    '[{"topic":"t","partition":0}]', 10000 },
  { "committed with a timeout", { "committed", "g", "i", { topic = "t", partition = 0 }, { timeout = 50 } }, "POST",
    "/committed/g/i?timeout=50", json, '{"topic":"t","partition":0}', 50 },
  { "delete_consumer", { "delete_consumer", "g", "i" }, "POST", "/delete-consumer/g/i", bare, nil },
  { "consumers", { "consumers" }, "GET", "/consumers", bare, nil },
  { "a fetch", { "fetch", "t", 1, 2 }, "POST", "/fetch", json, '{"topic":"t","partition":1,"offset":2}', 1000 },
  { "a fetch of a list", { "fetch", { { topic = "t", partition = 1, offset = 2 } }, { timeout = 3, max_messages = 4,
    max_bytes = 5 } }, "POST", "/fetch", json, '{"topicPartitionOffsets":[{"topic":"t","partition":1,"offset":2}],' ..
    '"timeout":3,"max_messages":4,"max_bytes":5}', 3 },
  { "headers sorted by the bytes of their names, a prefix first", { "produce", "t", "v", { headers = {
    ab = 2, a = 1, abc = 3, b = 4, B = 5, ["\195\169"] = 6, ["a\0"] = 7 } } }, "POST", "/produce/t", json,
    '{"value":"v","headers":[{"key":"B","value":"5"},{"key":"a","value":"1"},{"key":"a\\u0000","value":"7"},' ..
    '{"key":"ab","value":"2"},{"key":"abc","value":"3"},{"key":"b","value":"4"},{"key":"\195\169","value":"6"}]}' },
  { "committed that does not wait", { "committed", "g", "i", { topic = "t", partition = 0 }, { timeout = 0 } }, "POST",
    "/committed/g/i?timeout=0", json, '{"topic":"t","partition":0}', 0 },
  { "offsets that do not wait, of time 0", { "offsets", 0, { topic = "t", partition = 0 }, { timeout = 0 } }, "POST",
    "/offsets/0?timeout=0", json, '{"topic":"t","partition":0}', 0 },
  { "a consume that fails without a committed offset",
    { "consume", "g", "i", "t", { auto_offset_reset = "none" } }, "POST",
    "/consume/g/i", with(json, { ["Kafka-Auto-Offset-Reset"] = "none" }), '{"topic":"t"}', 1000 },
  { "a consume from the end", { "consume", "g", "i", "t", { auto_offset_reset = "latest" } }, "POST",
    "/consume/g/i", with(json, { ["Kafka-Auto-Offset-Reset"] = "latest" }), '{"topic":"t"}', 1000 },
  { "create_topic with a retention of 0", { "create_topic", "t", { retention_ms = 0, retention_bytes = 0 } }, "POST",
    "/topics/t", json, '{"retention_ms":0,"retention_bytes":0}' },
  { "offsets at a time", { "offsets", 1700000000000, { topic = "t", partition = 0 }, { timeout = 9 } }, "POST",
    "/offsets/1700000000000?timeout=9", json, '{"topic":"t","partition":0}', 9 },
  { "offsets of the end", { "offsets", "latest", { { topic = "t", partition = 0 } } }, "POST", "/offsets/latest", json,
    '[{"topic":"t","partition":0}]', 10000 },
  { "topics", { "topics" }, "GET", "/topics", bare, nil },
  { "create_topic", { "create_topic", "t" }, "POST", "/topics/t", json, "{}" },
  { "create_topic with everything", { "create_topic", "t", { partitions = 3, retention_ms = -1,
    retention_bytes = 1000 } }, "POST", "/topics/t", json,
    '{"partitions":3,"retention_ms":-1,"retention_bytes":1000}' },
  { "create_topic with a time", { "create_topic", "t", { retention_ms = 5 } }, "POST", "/topics/t", json,
    '{"retention_ms":5}' },
  { "create_topic with a size", { "create_topic", "t", { retention_bytes = 5 } }, "POST", "/topics/t", json,
    '{"retention_bytes":5}' },
  { "create_topic that keeps everything", { "create_topic", "t", { retention_ms = -1, retention_bytes = -1 } }, "POST",
    "/topics/t", json, '{"retention_ms":-1,"retention_bytes":-1}' },
  { "delete_topic", { "delete_topic", "t" }, "DELETE", "/topics/t", bare, nil },
  { "health", { "health" }, "GET", "/health", bare, nil },
  { "B2: null for what may be absent", { "produce", "t", "v", { key = core.null, headers = core.null,
    partition = core.null, timestamp = core.null } }, "POST", "/produce/t", json, '{"value":"v"}' },
  { "B2: null for all options", { "produce", "t", "v", core.null }, "POST", "/produce/t", json, '{"value":"v"}' },
  { "B2: null in a message of many, where a value of null is a tombstone", { "produce_many", "t", {
    { value = core.null, key = core.null, partition = core.null, timestamp = core.null, headers = core.null },
    { value = "v", headers = { { key = "a", value = core.null } } } } }, "POST", "/produce/t", json,
    '[{"value":null},{"value":"v","headers":[{"key":"a","value":""}]}]', 0, 2 },
  { "B2: a header of null, which is the empty text", { "produce", "t", "v", { headers = { a = core.null, b = "" } } },
    "POST", "/produce/t", json, '{"value":"v","headers":[{"key":"a","value":""},{"key":"b","value":""}]}' },
  { "B2: a webhook with null", { "webhook", "t", "b", { headers = { ["X-A"] = core.null } } }, "POST",
    "/webhook?topic=t", with(bare, { ["Content-Type"] = "application/octet-stream", ["X-A"] = "" }), "b" },
  { "B2: a consume with null", { "consume", "g", "i", "t", { timeout = core.null, auto_commit = core.null,
    auto_offset_reset = core.null, auto_commit_interval = core.null, session_timeout = core.null,
    max_messages = core.null, max_bytes = core.null } }, "POST", "/consume/g/i", json, '{"topic":"t"}', 1000 },
  { "B2: a fetch with null", { "fetch", "t", 0, 5, { timeout = core.null, max_messages = core.null,
    max_bytes = core.null } }, "POST", "/fetch", json, '{"topic":"t","partition":0,"offset":5}', 1000 },
  { "A2: floats with the digits that they need", { "produce", "t", 52.520006599999, { key = 0.1,
    headers = { x = 123456789012345.5 } } }, "POST", "/produce/t", json,
    '{"key":"0.1","value":"52.520006599999","headers":[{"key":"x","value":"123456789012345.5"}]}' },
  { "A2: floats with an integral value as integers", { "produce", "t", 5.0, { key = -0.5 * 4 } }, "POST", "/produce/t",
    json, '{"key":"-2","value":"5"}' },
}

local KEYED = { produce = true, produce_many = true, webhook = true }

-- Removes the Idempotency-Key of a request and returns it; nil if it has none of the usual form.
local function take_key(request)
  local key = request.headers["Idempotency-Key"]
  request.headers["Idempotency-Key"] = nil
  return key and key:match("^" .. ("%x"):rep(32) .. "%-%d+$")
end

describe("prepare", function()
  for _, row in ipairs(requests) do
    it("makes " .. row[1], function()
      local request = assert(client:prepare(unpack(row[2])))
      assert.equal(KEYED[row[2][1]] or false, take_key(request) ~= nil)
      assert.same({ name = row[2][1], method = row[3], path = row[4], url = URL .. row[4], headers = row[5],
        body = row[6], timeout = 30000 + (row[7] or 0), messages = row[8] }, request)
    end)
  end

  it("gives each produce a key of its own", function()
    local seen = {}
    for _, own in ipairs { new(), new() } do
      for _ = 1, 3 do
        for _, call in ipairs { { "produce", "t", "v" }, { "webhook", "t", "v" },
          { "produce_many", "t", { { value = "v" } } }, { "produce_many", { { topic = "t", value = "v" } } } } do
          local key = take_key(assert(own:prepare(unpack(call))))
          assert.is_nil(seen[key])
          seen[key] = true
        end
      end
    end
  end)

  it("keeps the key that a webhook brings along", function()
    local headers = client:prepare("webhook", "t", "v", { headers = { ["idempotency-key"] = "mine" } }).headers
    assert.equal("mine", headers["idempotency-key"])
    assert.is_nil(headers["Idempotency-Key"])
  end)

  it("writes all digits of an integer, on Lua without integers too", function()
    local number = exact and math.floor(2 ^ 53) or 2 ^ 53
    local request = client:prepare("produce", "t", number, { key = -number, headers = { h = number } })
    assert.equal('{"key":"-9007199254740992","value":"9007199254740992",' ..
      '"headers":[{"key":"h","value":"9007199254740992"}]}', request.body)
  end)

  it("takes as many partitions as a server, in constant room on the stack", function()
    local most, list = 100000, {}
    for i = 1, most do list[i] = { topic = "t", partition = i - 1, offset = 5 } end
    local body = assert(client:prepare("commit", "g", "i", list)).body
    local _, count = body:gsub("{", "")
    assert.equal(most, count)
    assert.truthy(body:find('{"topic":"t","partition":99999,"offset":5}]', 1, true))
  end)

  it("takes any number of headers", function()
    for count = 14, 19 do
      local map, text = numbered_headers(count)
      assert.equal('{"value":"v","headers":' .. text .. "}",
        client:prepare("produce", "t", "v", { headers = map }).body)
    end
  end)

  it("refuses a webhook's headers that the transport sets, in upper and lower case", function()
    for _, name in ipairs { "Authorization", "Connection", "Content-Encoding", "Content-Length", "Expect", "Host",
      "Keep-Alive", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade" } do
      for _, spelt in ipairs { name, name:lower(), name:upper() } do
        local fine, text = pcall(client.prepare, client, "webhook", "t", "b", { headers = { [spelt] = "x" } })
        assert.is_false(fine, spelt)
        assert.truthy(text:find("(headers: " .. spelt .. ": ", 1, true), text)
      end
    end
  end)

  it("puts the path of the URL before its own", function()
    local request = new({ url = "https://host:1/kafka/", timeout = 7 }):prepare "topics"
    assert.equal("/kafka/topics", request.path)
    assert.equal("https://host:1/kafka/topics", request.url)
    assert.equal(7, request.timeout)
  end)

  it("sends no credentials if it has none", function()
    assert.same({}, core.new({ url = URL }):prepare("topics").headers)
  end)

  it("writes bytes as base64 for a binary client", function()
    local binary = new { binary = true }
    local request = binary:prepare("produce", "t", "\0\255", { key = "\200", headers = { h = "\201" } })
    assert.equal('{"key":"yA==","value":"AP8=","headers":[{"key":"h","value":"yQ=="}]}', request.body)
    take_key(request)
    assert.same(base64, request.headers)
    assert.same(base64, binary:prepare("consume", "g", "i", "t").headers)
    assert.same(base64, binary:prepare("fetch", "t", 0, 0).headers)
    assert.same(json, binary:prepare("commit", "g", "i", { topic = "t", partition = 0, offset = 1 }).headers)
    assert.is_nil(binary:prepare("webhook", "t", "\0").headers["Kafka-Encoding"])
  end)

  it("fails for bytes that are not UTF-8 instead of changing them", function()
    for what, call in pairs {
      value = { "produce", "t", "a\255" },
      key = { "produce", "t", "a", { key = "\200" } },
      ["header value"] = { "produce", "t", "a", { headers = { h = "\192\128" } } },
    } do
      local request, text, details = client:prepare(call[1], call[2], call[3], call[4])
      assert.is_nil(request)
      assert.equal("message 1: " .. what .. " is not valid UTF-8 (binary = true sends any bytes)", text)
      assert.same({ error = text, code = "bad_request", retriable = false }, details)
    end
    local _, text = client:prepare("produce_many", "t", { { value = "a" }, { value = "\255" } })
    assert.equal("message 2: value is not valid UTF-8 (binary = true sends any bytes)", text)
    _, text = client:prepare("consume", "g", "i", "\255")
    assert.equal("topic is not valid UTF-8", text)
  end)

  it("fails for names longer than a path may be", function()
    local request, text, details = client:prepare("produce", ("x"):rep(70000), "v")
    assert.is_nil(request)
    assert.equal("the request's path is too long", text)
    assert.equal("too_large", details.code)
  end)
end)

describe("a table as a value", function()
  local function encode(value)
    return "<" .. #value .. ">"
  end

  it("goes through the encode function", function()
    local encoding = new { encode = encode }
    assert.equal('{"value":"<2>"}', encoding:prepare("produce", "t", { 1, 2 }).body)
    assert.equal('[{"value":"<0>"},{"value":"x"},{"value":"<1>"}]',
      encoding:prepare("produce_many", "t", { { value = {} }, { value = "x" }, { value = { 1 } } }).body)
  end)

  it("goes through no other argument of core.new", function()
    local other = core.new({ url = URL }, encode, encode)
    assert.has_error(function() other:prepare("produce", "t", {}) end,
      "bad argument #2 to 'produce' (value is a table and no JSON encoder is set)")
  end)

  it("may be encoded with the same client", function()
    local encoding
    encoding = new { encode = function(value)
      return encoding:prepare("produce", "inner", value[1]).body
    end }
    assert.equal('[{"key":"k","value":"{\\"value\\":\\"a\\"}"},{"value":"{\\"value\\":\\"b\\"}"}]',
      encoding:prepare("produce_many", "t", { { value = { "a" }, key = "k" }, { value = { "b" } } }).body)
  end)

  it("may change its own message", function()
    local message = { value = {}, topic = "topic" .. #tostring(client), key = "key" .. #tostring(client) }
    local body = '[{"topic":"' .. message.topic .. '","key":"' .. message.key .. '","value":"x"}]'
    local encoding = new { encode = function()
      message.topic, message.key, message.value = nil, nil, nil
      collectgarbage()
      return "x"
    end }
    assert.equal(body, encoding:prepare("produce_many", { message }).body)
  end)

  it("may raise, and the client still works", function()
    local encoding = new { encode = function() error({ "mine" }, 0) end }
    local fine, problem = pcall(encoding.prepare, encoding, "produce", "t", {})
    assert.is_false(fine)
    assert.same({ "mine" }, problem)
    assert.equal('{"value":"v"}', encoding:prepare("produce", "t", "v").body)
  end)

  it("may not close the client during a call", function()
    local encoding
    encoding = new { encode = function() encoding:close() return "x" end }
    assert.has_error(function() encoding:prepare("produce", "t", {}) end,
      "client is closed")
  end)
end)

-- Misuse --------------------------------------------------------------------------------------

-- { a call, its error }
local misuses = {
  { function() core.new() end, "bad argument #1 to 'new' (table expected, got nil)" },
  { function() core.new {} end, "bad argument #1 to 'new' (url: required, but absent)" },
  { function() core.new { url = 5 } end, "bad argument #1 to 'new' (url: string expected, got number)" },
  { function() new { colour = "red" } end, "bad argument #1 to 'new' (unknown option 'colour')" },
  { function() new { [1] = "red" } end, "bad argument #1 to 'new' (option names are strings, got a number)" },
  { function() new { ["timeout\0x"] = 5 } end, "bad argument #1 to 'new' (unknown option 'timeout')" },
  { function() new { [("x"):rep(64)] = 5 } end,
    "bad argument #1 to 'new' (unknown option '" .. ("x"):rep(64) .. "')" },
  { function() new { [("x"):rep(65)] = 5 } end,
    "bad argument #1 to 'new' (unknown option '" .. ("x"):rep(64) .. "')" },
  { function() client:consume("g", "i", "t", { auto_offset_reset = ("y"):rep(65) }) end,
    "bad argument #4 to 'consume' (auto_offset_reset: \"latest\", \"earliest\" or \"none\" expected, got \"" ..
      ("y"):rep(64) .. "\")" },
  { function() new { timeout = "5" } end, "bad argument #1 to 'new' (timeout: integer expected, got string)" },
  { function() new { timeout = 0 } end,
    "bad argument #1 to 'new' (timeout: integer from 1 to 86400000 expected, got 0)" },
  { function() new { retries = -1 } end,
    "bad argument #1 to 'new' (retries: integer from 0 to 1000 expected, got -1)" },
  { function() new { binary = 1 } end, "bad argument #1 to 'new' (binary: boolean expected, got number)" },
  { function() new { encode = "x" } end, "bad argument #1 to 'new' (encode: function expected, got string)" },
  { function() new { ca_file = "a\0b" } end, "bad argument #1 to 'new' (ca_file: string without NUL bytes expected)" },
  { function() new { url = "" } end, "bad argument #1 to 'new' (url: http:// or https:// and a host expected)" },
  { function() new { url = "ftp://host" } end,
    "bad argument #1 to 'new' (url: http:// or https:// and a host expected)" },
  { function() new { url = "http:///path" } end, "bad argument #1 to 'new' (url: a host expected after the scheme)" },
  { function() new { url = "http://a:b@host" } end,
    "bad argument #1 to 'new' (url: must not contain credentials; pass username and password)" },
  { function() new { url = "http://host/?a=b" } end,
    "bad argument #1 to 'new' (url: must not have a query or a fragment)" },
  { function() new { url = "http://host\r\nX: y" } end,
    "bad argument #1 to 'new' (url: contains a space or a control character)" },
  { function() new { url = "http://host\0" } end,
    "bad argument #1 to 'new' (url: contains a space or a control character)" },
  { function() new { username = "a:b" } end, "bad argument #1 to 'new' (username: must not contain ':')" },
  { function() new { url = "http://unix:" } end,
    "bad argument #1 to 'new' (url: the path of a unix socket expected after unix:)" },
  { function() new { url = "https://unix:/run/kafka.sock" } end,
    "bad argument #1 to 'new' (url: https over a unix socket is not supported)" },
  { function() new { url = "http://unix:/run/kafka.sock:path" } end,
    "bad argument #1 to 'new' (url: a path expected after the unix socket and its ':')" },
  { function() new { url = "http://unix:/" .. ("s"):rep(107) } end,
    "bad argument #1 to 'new' (url: the path of the unix socket is too long)" },
  { function() core.new { url = URL, username = "a" } end,
    "bad argument #1 to 'new' (password: missing, but there is a username)" },
  { function() core.new { url = URL, password = "a" } end,
    "bad argument #1 to 'new' (username: missing, but there is a password)" },

  { function() client:produce() end, "bad argument #1 to 'produce' (topic: string expected, got nil)" },
  { function() client:produce(5, "v") end, "bad argument #1 to 'produce' (topic: string expected, got number)" },
  { function() client:produce("", "v") end, "bad argument #1 to 'produce' (topic: non-empty string expected)" },
  { function() client:produce "t" end,
    "bad argument #2 to 'produce' (value: string, number, table or null expected, got nil)" },
  { function() client:produce("t", true) end,
    "bad argument #2 to 'produce' (value: string, number, table or null expected, got boolean)" },
  { function() client:produce("t", {}) end,
    "bad argument #2 to 'produce' (value is a table and no JSON encoder is set)" },
  { function() client:produce("t", "v", "k") end, "bad argument #3 to 'produce' (table expected, got string)" },
  { function() client:produce("t", "v", { kay = "k" }) end, "bad argument #3 to 'produce' (unknown option 'kay')" },
  { function() client:produce("t", "v", { key = {} }) end,
    "bad argument #3 to 'produce' (key: string expected, got table)" },
  { function() client:produce("t", "v", { partition = -1 }) end,
    "bad argument #3 to 'produce' (partition: integer from 0 to 2147483647 expected, got -1)" },
  { function() client:produce("t", "v", { partition = 2 ^ 31 }) end,
    "bad argument #3 to 'produce' (partition: integer from 0 to 2147483647 expected, got 2147483648)" },
  { function() client:produce("t", 0 / 0) end, "bad argument #2 to 'produce' (value: NaN is not JSON)" },
  { function() client:produce("t", "v", { key = math.huge }) end,
    "bad argument #3 to 'produce' (key: inf is not JSON)" },
  { function() client:produce("t", "v", { headers = { a = -math.huge } }) end,
    "bad argument #3 to 'produce' (headers: -inf is not JSON)" },
  { function() client:produce("t", "v", { headers = { { key = core.null, value = "v" } } }) end,
    "bad argument #3 to 'produce' (headers[1].key: string expected, got userdata)" },
  { function() client:produce_many { { topic = core.null, value = "v" } } end,
    "bad argument #1 to 'produce_many' (messages[1].topic: string expected, got userdata)" },
  { function() core.json(5) end, "bad argument #1 to 'json' (cjson: table expected, got number)" },
  { function() client:produce("t", "v", { timestamp = 1.5 }) end,
    "bad argument #3 to 'produce' (timestamp: integer expected, got 1.5)" },
  { function() client:produce("t", "v", { timestamp = 1 / 0 }) end,
    "bad argument #3 to 'produce' (timestamp: integer expected, got inf)" },
  { function() client:produce("t", "v", { timestamp = 2 ^ 53 + 2 }) end,
    "bad argument #3 to 'produce' (timestamp: a float beyond 2^53 is not an exact integer: 9007199254740994)" },
  { function() client:produce("t", "v", { timestamp = -2 ^ 53 - 2 }) end,
    "bad argument #3 to 'produce' (timestamp: a float beyond 2^53 is not an exact integer: -9007199254740994)" },
  { function() client:produce("t", "v", { timestamp = -1 }) end,
    "bad argument #3 to 'produce' (timestamp: integer from 0 to 9223372036854775807 expected, got -1)" },
  { function() client:produce("t", "v", { headers = "h" }) end,
    "bad argument #3 to 'produce' (headers: table expected, got string)" },
  { function() client:produce("t", "v", { headers = { h = {} } }) end,
    "bad argument #3 to 'produce' (headers: h: string expected, got table)" },
  { function() client:produce("t", "v", { headers = { [true] = "x" } }) end,
    "bad argument #3 to 'produce' (headers: names are strings, got a boolean)" },
  { function() client:produce("t", "v", { headers = { { key = "a", value = "b" }, { key = "a" } } }) end,
    "bad argument #3 to 'produce' (headers[2].value: required, but absent)" },
  { function() client:produce("t", "v", { headers = { { key = "a", value = true } } }) end,
    "bad argument #3 to 'produce' (headers[1].value: string expected, got boolean)" },

  { function() client:produce_many("t", "v") end,
    "bad argument #2 to 'produce_many' (messages: list expected, got string)" },
  { function() client:produce_many("t", {}) end,
    "bad argument #2 to 'produce_many' (messages: at least one message expected)" },
  { function() client:produce_many({}) end,
    "bad argument #1 to 'produce_many' (messages: at least one message expected)" },
  { function() client:produce_many("t", { { value = "1" }, "2" }) end,
    "bad argument #2 to 'produce_many' (messages[2]: table expected, got string)" },
  { function() client:produce_many("t", { { value = "1" }, { value = "2" }, { value = "3", partition = "x" } }) end,
    "bad argument #2 to 'produce_many' (messages[3].partition: integer expected, got string)" },
  { function() client:produce_many("t", { { value = "1", offset = 5 } }) end,
    "bad argument #2 to 'produce_many' (messages[1]: unknown field 'offset')" },
  { function() client:produce_many("t", { { value = "1", topic = "u" } }) end,
    "bad argument #2 to 'produce_many' (messages[1]: unknown field 'topic')" },
  { function() client:produce_many { { value = "1" } } end,
    "bad argument #1 to 'produce_many' (messages[1].topic: required, but absent)" },
  { function() client:produce_many { { topic = "t", value = "1" }, { topic = 5, value = "1" } } end,
    "bad argument #1 to 'produce_many' (messages[2].topic: string expected, got number)" },
  { function() client:produce_many("t", { { key = "k" } }) end,
    "bad argument #2 to 'produce_many' (messages[1].value: string, number, table or null expected, got nil)" },
  { function() client:produce_many("t", { { value = "v", headers = { { key = "a", value = "b", x = 1 } } } }) end,
    "bad argument #2 to 'produce_many' (messages[1].headers[1]: unknown field 'x')" },

  { function()
    client:produce_many("t", { { value = "v", headers = { { key = "a", value = "b" } } }, { value = true } })
  end, "bad argument #2 to 'produce_many' (messages[2].value: string, number, table or null expected, got boolean)" },
  { function() client:webhook("t") end, "bad argument #2 to 'webhook' (body: string expected, got nil)" },
  { function() client:webhook("t", "b", { headers = { ["a b"] = "x" } }) end,
    "bad argument #3 to 'webhook' (headers: 'a b' is not a valid header name)" },
  { function() client:webhook("t", "b", { headers = { X = "a\r\nY: b" } }) end,
    "bad argument #3 to 'webhook' (headers: X: a control character in the value)" },
  { function() client:webhook("t", "b", { headers = { host = "x" } }) end,
    "bad argument #3 to 'webhook' (headers: host: reserved for the transport)" },
  { function() client:webhook("t", "b", { headers = "x" }) end,
    "bad argument #3 to 'webhook' (headers: table expected, got string)" },
  { function() client:webhook("t", "b", { headers = { "x" } }) end,
    "bad argument #3 to 'webhook' (headers: names are strings, got a number)" },
  { function() client:webhook("t", "b", { headers = { X = true } }) end,
    "bad argument #3 to 'webhook' (headers: string expected, got boolean)" },
  { function() client:webhook("t", "b", { header = {} }) end,
    "bad argument #3 to 'webhook' (unknown option 'header')" },
  { function() client:webhook("", "b") end, "bad argument #1 to 'webhook' (topic: non-empty string expected)" },

  { function() client:consume("g") end, "bad argument #2 to 'consume' (instance: string expected, got nil)" },
  { function() client:consume("g", "i") end, "bad argument #3 to 'consume' (topic: string expected, got nil)" },
  { function() client:consume("g", "i", {}) end,
    "bad argument #3 to 'consume' (topics: at least one topic expected)" },
  { function() client:consume("g", "i", { "t", 5 }) end,
    "bad argument #3 to 'consume' (topics[2]: string expected, got number)" },
  { function() client:consume("g", "i", "t", { auto_offset_reset = "first" }) end,
    "bad argument #4 to 'consume' (auto_offset_reset: \"latest\", \"earliest\" or \"none\" expected, got \"first\")" },
  { function() client:consume("g", "i", "t", { timeout = 600001 }) end,
    "bad argument #4 to 'consume' (timeout: integer from 0 to 600000 expected, got 600001)" },
  { function() client:consume("g", "i", "t", { max_messages = 0 }) end,
    "bad argument #4 to 'consume' (max_messages: integer from 1 to 100000 expected, got 0)" },
  { function() client:commit("g", "i", "t") end, "bad argument #3 to 'commit' (offsets: table expected, got string)" },
  { function() client:commit("g", "i", { { topic = "t", partition = 0 } }) end,
    "bad argument #3 to 'commit' (offsets[1].offset: required, but absent)" },
  { function() client:commit("g", "i", { partition = 0, offset = 1 }) end,
    "bad argument #3 to 'commit' (topic: required, but absent)" },
  { function() client:commit("g", "i", { topic = "t", offset = 1 }) end,
    "bad argument #3 to 'commit' (partition: required, but absent)" },
  { function() client:committed("g", "i", { { topic = "t", partition = 0 }, { topic = "t" } }) end,
    "bad argument #3 to 'committed' (partitions[2].partition: required, but absent)" },
  { function() client:fetch { { partition = 0, offset = 1 } } end,
    "bad argument #1 to 'fetch' (offsets[1].topic: required, but absent)" },
  { function() client:produce("t", "v", { headers = { { value = "b" } } }) end,
    "bad argument #3 to 'produce' (headers[1].key: required, but absent)" },
  { function() client:committed("g", "i", { { topic = "t", partition = 0, offset = 5 } }) end,
    "bad argument #3 to 'committed' (partitions[1]: unknown field 'offset')" },
  { function() client:fetch("t", "0", 5) end, "bad argument #2 to 'fetch' (partition: integer expected, got string)" },
  { function() client:fetch("t", 0, -1) end,
    "bad argument #3 to 'fetch' (offset: integer from 0 to 9223372036854775807 expected, got -1)" },
  { function() client:fetch({ { topic = "t", partition = 0, offset = 0 } }, { wait = 1 }) end,
    "bad argument #2 to 'fetch' (unknown option 'wait')" },
  { function() client:commit("g", "i", {}) end, "bad argument #3 to 'commit' (offsets: at least one expected)" },
  { function() client:committed("g", "i", {}) end,
    "bad argument #3 to 'committed' (partitions: at least one expected)" },
  { function() client:offsets("latest", {}) end, "bad argument #2 to 'offsets' (partitions: at least one expected)" },
  { function() client:fetch {} end, "bad argument #1 to 'fetch' (offsets: at least one expected)" },
  { function() client:offsets("soon", {}) end,
    "bad argument #1 to 'offsets' (timestamp: integer, \"earliest\" or \"latest\" expected, got another string)" },
  { function() client:offsets({}, {}) end,
    "bad argument #1 to 'offsets' (timestamp: integer, \"earliest\" or \"latest\" expected, got table)" },
  { function() client:delete_topic "" end, "bad argument #1 to 'delete_topic' (topic: non-empty string expected)" },
  { function() client:create_topic("t", { partitions = 0 }) end,
    "bad argument #2 to 'create_topic' (partitions: integer from 1 to 2147483647 expected, got 0)" },

  { function() client:create_topic("t", { retention_ms = -2 }) end,
    "bad argument #2 to 'create_topic' (retention_ms: integer from -1 to 9223372036854775807 expected, got -2)" },
  { function() client:create_topic("t", { retention_bytes = -2 }) end,
    "bad argument #2 to 'create_topic' (retention_bytes: integer from -1 to 9223372036854775807 expected, got -2)" },
  { function() client:offsets(-1, {}) end,
    "bad argument #1 to 'offsets' (timestamp: integer from 0 to 9223372036854775807 expected, got -1)" },
  { function() client:prepare() end, "bad argument #1 to 'prepare' (method: string expected, got no value)" },
  { function() client:prepare "close" end, "bad argument #1 to 'prepare' (method: no such method: 'close')" },
  { function() client:prepare("produce", "t") end,
    "bad argument #2 to 'produce' (value: string, number, table or null expected, got nil)" },
  { function() client:finish(5, 200) end, "bad argument #1 to 'finish' (request: table expected, got number)" },
  { function() client:fail({ name = "topics" }, 7) end,
    "bad argument #2 to 'fail' (code: string expected, got number)" },
  { function() client:fail({ name = "topics" }, "late") end, "bad argument #2 to 'fail' (code: no such code: 'late')" },
  { function() client:fail({ name = "topics" }, "timeout", 7) end,
    "bad argument #3 to 'fail' (text: string expected, got number)" },
  { function() client:fail({ name = "topics" }, "timeout", "x", 7) end,
    "bad argument #4 to 'fail' (body: string expected, got number)" },
  { function() client:fail(5, "timeout") end, "bad argument #1 to 'fail' (request: table expected, got number)" },
  { function() client:finish({}, 200) end, "bad argument #1 to 'finish' (request.name: string expected, got nil)" },
  { function() client:finish({ name = "produce_many", messages = "2" }, 200) end,
    "bad argument #1 to 'finish' (request.messages: integer expected, got string)" },
  { function() client:finish({ name = "topics" }, "200") end,
    "bad argument #2 to 'finish' (status: integer expected, got string)" },
  { function() client:finish({ name = "topics" }, 200, 5) end,
    "bad argument #3 to 'finish' (headers: table expected, got number)" },
  { function() client:finish({ name = "topics" }, 200, {}, {}) end,
    "bad argument #4 to 'finish' (body: string expected, got table)" },
  { function() core.retry_delay(0, {}) end,
    "bad argument #1 to 'retry_delay' (attempt: integer from 1 to 2147483647 expected, got 0)" },
  { function() core.retry_delay(1) end, "bad argument #2 to 'retry_delay' (details: table expected, got nil)" },
  { function() core.retry_delay(1, {}, { method = "x" }) end,
    "bad argument #3 to 'retry_delay' (method: no such method: 'x')" },
  { function() client:prepare("consume", "g", "i", "t", { ack = "" }) end,
    "bad argument #4 to 'consume' (ack: the ID of a batch expected, got '')" },
  { function() client:prepare("consume", "g", "i", "t", { commit_batch = "a b" }) end,
    "bad argument #4 to 'consume' (commit_batch: the ID of a batch expected, got 'a b')" },
  { function() client:prepare("consume", "g", "i", "t", { ack = ("x"):rep(65) }) end,
    "bad argument #4 to 'consume' (ack: the ID of a batch expected, got '" .. ("x"):rep(64) .. "')" },
  { function() client:prepare("commit", "g", "i", nil, { ack = "\127" }) end,
    "bad argument #4 to 'commit' (ack: the ID of a batch expected, got '\127')" },
  { function() client:prepare("delete_consumer", "g", "i", { acks = "none" }) end,
    "bad argument #3 to 'delete_consumer' (unknown option 'acks')" },
  { function() client:prepare("consume", "g", "i", "t", { commit = {} }) end,
    "bad argument #4 to 'consume' (commit: at least one expected)" },
  { function() client:prepare("consume", "g", "i", "t", { commit = 5 }) end,
    "bad argument #4 to 'consume' (commit: table expected, got number)" },
  { function() client:prepare("consume", "g", "i", "t", { commit = { { topic = "t", partition = 0 } } }) end,
    "bad argument #4 to 'consume' (commit[1].offset: required, but absent)" },
}

describe("misuse", function()
  for _, row in ipairs(misuses) do
    it("raises " .. row[2], function()
      local fine, text = pcall(row[1])
      assert.is_false(fine)
      local here = debug.getinfo(row[1], "S").short_src
      assert.equal(row[2], (text:gsub("^.-:%d+: ", "")))
      assert.equal(here, text:match "^(.-):%d+: ", "blames the caller")
    end)
  end

  local place, wait = { topic = "t", partition = 0 }, { timeout = { 0, 600000 } }
  local batch = { timeout = wait.timeout, max_messages = { 1, 100000 }, max_bytes = { 1, 67108864 } }
  for _, row in ipairs {
    { 4, batch, "consume", "g", "i", "t" },
    { 4, { session_timeout = { 1000, 1800000 }, auto_commit_interval = { 1, 86400000 } }, "consume", "g", "i", "t" },
    { 4, wait, "committed", "g", "i", place },
    { 4, batch, "fetch", "t", 0, 0 },
    { 2, batch, "fetch", { topic = "t", partition = 0, offset = 0 } },
    { 3, wait, "offsets", "latest", place },
    { 2, { partitions = { 1, 2147483647 } }, "create_topic", "t" },
  } do
    local argument, method = row[1], row[3]
    local function prepare(options)
      local arguments = { select(3, unpack(row)) }
      arguments[argument + 1] = options
      return client:prepare(unpack(arguments, 1, argument + 1))
    end
    for option, range in pairs(row[2]) do
      it(("takes %s of %s at its limits, and raises past them"):format(option, method), function()
        assert(prepare { [option] = range[1] })
        assert(prepare { [option] = range[2] })
        for _, past in ipairs { range[1] - 1, range[2] + 1 } do
          assert.has_error(function() prepare { [option] = past } end,
            ("bad argument #%d to '%s' (%s: integer from %d to %d expected, got %d)"):format(argument, method, option,
              range[1], range[2], past))
        end
      end)
    end
  end

  -- { function, argument, name in the error, minimum, maximum, a call with that integer }
  local metadata_request = { name = "produce_many" }
  local function client_option(name)
    return function(value) new({ [name] = value }):close() end
  end
  local function retry_option(name)
    return function(value) core.retry_delay(1, {}, { [name] = value }) end
  end
  for _, row in ipairs {
    { "new", 1, "timeout", 1, 86400000, client_option "timeout" },
    { "new", 1, "connect_timeout", 1, 86400000, client_option "connect_timeout" },
    { "new", 1, "retries", 0, 1000, client_option "retries" },
    { "new", 1, "retry_delay", 0, 86400000, client_option "retry_delay" },
    { "new", 1, "retry_delay_max", 0, 86400000, client_option "retry_delay_max" },
    { "new", 1, "max_response_bytes", 1, 2 ^ 40, client_option "max_response_bytes" },
    { "retry_delay", 1, "attempt", 1, 2147483647, function(value) core.retry_delay(value, {}) end },
    { "retry_delay", 3, "retries", 0, 1000, retry_option "retries" },
    { "retry_delay", 3, "retry_delay", 0, 86400000, retry_option "retry_delay" },
    { "retry_delay", 3, "retry_delay_max", 0, 86400000, retry_option "retry_delay_max" },
    { "finish", 2, "status", 0, 999, function(value) client:finish(metadata_request, value) end },
    { "finish", 1, "request.messages", 0, 2147483647, function(value)
      client:finish({ name = "produce_many", messages = value }, 200)
    end },
    { "produce", 3, "partition", 0, 2147483647, function(value)
      client:prepare("produce", "t", "v", { partition = value })
    end },
    { "fetch", 2, "partition", 0, 2147483647, function(value) client:prepare("fetch", "t", value, 0) end },
    { "commit", 3, "partition", 0, 2147483647, function(value)
      client:prepare("commit", "g", "i", { topic = "t", partition = value, offset = 0 })
    end },
  } do
    local name, argument, field, least, most, call = unpack(row)
    it(("takes %s of %s from %.0f to %.0f"):format(field, name, least, most), function()
      call(least)
      call(most)
      for _, past in ipairs { least - 1, most + 1 } do
        assert.has_error(function() call(past) end,
          ("bad argument #%d to '%s' (%s: integer from %.0f to %.0f expected, got %.0f)"):format(argument, name, field,
            least, most, past))
      end
    end)
  end

  it("raises if the encode function returns something else", function()
    local encoding = new { encode = function() return 5 end }
    assert.has_error(function() encoding:prepare("produce", "t", {}) end,
      "bad argument #2 to 'produce' (value: the JSON encoder returned a number instead of a string)")
  end)

  it("names the value that an encode function refuses", function()
    local encoding = new { encode = function(value) return nil, "no " .. value.kind, value.path end }
    assert.has_error(function() encoding:prepare("produce", "t", { kind = "cats" }) end,
      "bad argument #2 to 'produce' (value: no cats)")
    assert.has_error(function()
      encoding:prepare("produce_many", "t", { { value = "v" }, { value = { kind = "dogs", path = ".a[3]" } } })
    end, "bad argument #2 to 'produce_many' (messages[2].value.a[3]: no dogs)")
  end)

  it("does not change the client", function()
    assert.equal('{"value":"v"}', client:prepare("produce", "t", "v").body)
  end)
end)

-- Responses -----------------------------------------------------------------------------------

describe("finish", function()
  it("returns the metadata of a produce", function()
    assert.same({ topic = "t", partition = 1, offset = 2, timestamp = 3 },
      answer("produce", '[{"topic":"t","partition":1,"offset":2,"timestamp":3}]'))
    assert.same({ topic = "t", partition = 1, offset = 2, timestamp = 3 },
      answer("webhook", '{"topic":"t","partition":1,"offset":2,"timestamp":3}'))
    local list = answer("produce_many", '[{"topic":"t","partition":1,"offset":2,"timestamp":3},' ..
      '{"timestamp":6,"offset":5,"partition":4,"topic":"u"}]')
    assert.same({ { topic = "t", partition = 1, offset = 2, timestamp = 3 },
      { topic = "u", partition = 4, offset = 5, timestamp = 6 } }, list)
  end)

  it("returns the ID of a batch, skipped commits and a replay as details behind the result", function()
    local request = { name = "consume" }
    local function details(headers, method, body)
      local result, message, all = client:finish({ name = method or "consume" }, 200, headers, body or "[]")
      assert.is_nil(message)
      assert.truthy(result)
      return all
    end
    assert.same({ batch = "b-1" }, details { ["kafka-batch"] = "b-1" })
    assert.same({ batch = ("~"):rep(64) }, details { ["kafka-batch"] = ("~"):rep(64) })
    assert.same({ commit_skipped = "t-0, u-1" }, details { ["kafka-commit-skipped"] = "t-0, u-1" })
    local long = ("x"):rep(1100)
    assert.same({ commit_skipped = long }, details { ["kafka-commit-skipped"] = long .. "y" })
    assert.same({ replayed = true }, details({ ["idempotent-replayed"] = "TRUE" }, "produce",
      '[{"topic":"t","partition":1,"offset":2,"timestamp":3}]'))
    for _, headers in ipairs { {}, { ["kafka-batch"] = "" }, { ["kafka-batch"] = "a b" }, { ["kafka-batch"] = true },
      { ["kafka-batch"] = ("x"):rep(65) }, { ["idempotent-replayed"] = "false" }, { ["kafka-batches"] = "b" } } do
      assert.is_nil(details(headers))
    end
    assert.equal(1, select("#", client:finish(request, 200, nil, "[]")))
  end)

  it("returns messages", function()
    local body = "[" .. message_of { key = '"k\\u20ac"', value = '"a\\nb"',
      headers = '[{"key":"a","value":"1"},{"value":"2","key":"a"}]' } .. "," .. message_of { topic = '"u"' } .. "]"
    for _, method in ipairs { "consume", "fetch" } do
      local messages = answer(method, body)
      assert.equal(2, #messages)
      assert.same({ topic = "t", partition = 0, offset = 5, timestamp = 9, key = "k\226\130\172", value = "a\nb",
        headers = { { key = "a", value = "1" }, { key = "a", value = "2" } } }, plain(messages[1]))
      assert.same({ topic = "u", partition = 0, offset = 5, timestamp = 9, key = "", value = "v", headers = {} },
        plain(messages[2]))
    end
    assert.same({}, answer("consume", "[]"))
    assert.same({}, answer("consume", " [ ] "))
  end)

  it("gives each message its own headers", function()
    local messages = answer("consume", "[" .. message_of() .. "," .. message_of() .. "]")
    messages[1].headers[1] = "mine"
    assert.same({}, messages[2].headers)
  end)

  it("reads a tombstone as a message without value", function()
    local message = answer("consume", "[" .. message_of { value = "null" } .. "]")[1]
    assert.is_nil(rawget(message, "value"))
    assert.equal("", message.key)
  end)

  it("takes fields in any order and skips unknown ones", function()
    local message = answer("fetch", '[ { "new" : [ { "a" : [ ] } , 1.5e3 ] , "headers" : [ { "more" : { } , ' ..
      '"value" : "x" , "key" : "h" } ] , "value" : "v" , "key" : "k" , "timestamp" : 4 , "offset" : 3 , ' ..
      '"topic" : "t" , "partition" : 2 , "last" : null } ]')[1]
    assert.same({ topic = "t", partition = 2, offset = 3, timestamp = 4, key = "k", value = "v",
      headers = { { key = "h", value = "x" } } }, plain(message))
  end)

  it("gives messages the methods of core.message_methods", function()
    core.message_methods.shout = function(message) return message.value:upper() end
    local message = answer("consume", "[" .. message_of() .. "]")[1]
    core.message_methods.shout, message.shout = nil, core.message_methods.shout
    assert.equal("V", message:shout())
    assert.equal("protected", getmetatable(message))
  end)

  it("decodes base64 for a binary client", function()
    local binary = new { binary = true }
    local body = "[" .. message_of { key = '"AP8="', value = '"\\/w=="', headers = '[{"key":"h","value":"yQ=="}]' } ..
      "," .. message_of { value = "null" } .. "," .. message_of { value = '""' } .. "]"
    local messages = binary:finish({ name = "consume" }, 200, nil, body)
    assert.equal("\0\255", messages[1].key)
    assert.equal("\255", messages[1].value)
    assert.same({ { key = "h", value = "\201" } }, messages[1].headers)
    assert.is_nil(messages[2].value)
    assert.equal("", messages[3].value)
    local _, text, details = binary:finish({ name = "consume" }, 200, nil, "[" .. message_of() .. "]")
    assert.equal('element 1 of the response: value: base64 expected (at topic "t", partition 0, offset 5)', text)
    assert.equal("bad_response", details.code)
  end)

  it("returns offsets, topics, consumers and the rest", function()
    local offsets = '[{"topic":"t","partition":1,"offset":-1}]'
    assert.same({ { topic = "t", partition = 1, offset = -1 } }, answer("offsets", offsets))
    assert.same({ { topic = "t", partition = 1, offset = -1 } }, answer("committed", offsets))
    assert.same({ a = 1, b = 2 }, answer("topics", '{"a":1,"b":2}'))
    assert.same({}, answer("topics", "{}"))
    assert.same({ { name = "g", instances = { { name = "i", topics = { { topic = "t", partitions = { 0, 1 } } } } } } },
      answer("consumers", '[{"name":"g","instances":[{"name":"i","topics":[{"topic":"t","partitions":[0,1]}]}]}]'))
    for _, method in ipairs { "commit", "delete_consumer", "delete_topic" } do
      assert.is_true(answer(method, '{"result":"Success","status":200}'))
    end
    assert.same({ topic = "t", partitions = 3 }, answer("create_topic", '{"topic":"t","partitions":3}', 201))
    assert.same({ status = "ok", engine = "log", more = { true, false, 1.5 } },
      answer("health", '{"status":"ok","engine":"log","more":[true,false,1.5],"none":null}'))
  end)

  it("reads all messages, even if the first is unlike the others", function()
    for _, count in ipairs { 1, 2, 3, 1000 } do
      local list = { message_of { value = '"' .. ("x"):rep(5000) .. '"' } }
      for i = 2, count do list[i] = message_of { offset = tostring(i), topic = i % 2 == 0 and '"u"' or '"t"' } end
      local messages = answer("fetch", "[" .. table.concat(list, ",") .. "]")
      assert.equal(count, #messages)
      for i = 2, count do
        assert.equal(i, messages[i].offset)
        assert.equal(i % 2 == 0 and "u" or "t", messages[i].topic)
      end
    end
  end)
end)

describe("integers", function()
  local function offset(text)
    local messages, message, details = answer("fetch", "[" .. message_of { offset = text } .. "]")
    return messages and messages[1].offset, message, details
  end

  it("are exact up to 2^53", function()
    assert.equal("9007199254740992", ("%.0f"):format(offset "9007199254740992"))
    assert.equal("-9007199254740992", ("%.0f"):format(offset "-9007199254740992"))
    if exact then assert.equal("integer", math.type(offset "5")) end
  end)

  for _, text in ipairs { "9007199254740993", "9223372036854775807", "-9007199254740993", "-9223372036854775808" } do
    it("past it are exact or an error: " .. text, function()
      local value, message, details = offset(text)
      if exact then
        assert.equal(text, ("%d"):format(value))
      else
        assert.is_nil(value)
        assert.equal(text .. " in the response does not fit this Lua's numbers (exact to 2^53)",
          (message:gsub(" %(at topic .*$", "")))
        assert.equal("integer_range", details.code)
        assert.same({ topic = "t", partition = 0, offset = text }, details.position)
        assert.is_nil((answer("topics", '{"t":' .. text .. "}")))
        assert.is_nil((answer("consumers", "[" .. text .. "]")))
      end
    end)
  end

  it("of more than 64 bits, and floats, are bad responses", function()
    for _, text in ipairs { "9223372036854775808", "5.0", "1e3" } do
      local value, message, details = offset(text)
      assert.is_nil(value)
      assert.equal("element 1 of the response: offset: an integer expected, got a number", message)
      assert.equal("bad_response", details.code)
    end
  end)

  if exact then
    it("of 64 bits are sent as they are", function()
      assert.equal('{"topic":"t","partition":0,"offset":9223372036854775807}',
        client:prepare("fetch", "t", 0, rawget(math, "maxinteger")).body)
    end)
  end
end)

describe("an error answer", function()
  for status, code in pairs { [400] = "bad_request", [401] = "unauthorized", [403] = "forbidden", [404] = "not_found",
    [405] = "method_not_allowed", [409] = "conflict", [413] = "too_large", [418] = "bad_request", [429] = "too_many",
    [500] = "internal", [502] = "unavailable", [503] = "unavailable", [504] = "gateway_timeout", [302] = "bad_response",
    [100] = "bad_response" } do
    it(status .. " is " .. code, function()
      local result, text, details = answer("topics", '{"error":"the reason","status":' .. status .. "}", status)
      assert.is_nil(result)
      assert.equal("the reason", text)
      assert.equal("the reason", details.error)
      assert.equal(status, details.status)
      assert.equal(code, details.code)
      for _, row in ipairs(core.errors) do
        if row.code == code then assert.equal(row.retriable, details.retriable) end
      end
    end)
  end

  it("without a message gets the default one", function()
    for _, body in ipairs { "", "<html>", "[]", "{}", '{"error":5}', '{"error":""}', '{"error":"cut', '{"status":5' } do
      local _, text = answer("topics", body, 404)
      assert.equal("no such path, topic or consumer instance", text, body)
    end
    assert.equal("x", select(2, answer("topics", '{"status":404,"more":[{}],"error":"x"', 404)))
  end)

  it("is truncated between two characters", function()
    local _, text = answer("topics", '{"error":"' .. ("\226\130\172"):rep(2000) .. '"}', 404)
    assert.equal(("\226\130\172"):rep(1365), text)
  end)

  it("B11: has Retry-After in seconds, for a date too", function()
    local function retry_after(value)
      local _, _, details = answer("topics", "{}", 429, { ["retry-after"] = value })
      return details.retry_after
    end
    assert.equal(5, retry_after "5")
    assert.equal(0, retry_after "0")
    assert.equal(7, retry_after(7))
    assert.equal(86400, retry_after "999999999")
    assert.equal(0, retry_after "Wed, 21 Oct 2015 07:28:00 GMT")
    assert.equal(86400, retry_after "Fri, 31 Dec 9999 23:59:59 GMT")
    for _, value in ipairs { "-1", "", "soon", "Wed, 21 Oct 2015 07:28:00", "5.5" } do
      assert.is_nil(retry_after(value))
    end
  end)
end)

-- { method, body, text }
local bad_responses = {
  { "produce", "", "malformed JSON at byte 0 of the response: the text is empty" },
  { "produce", "{}", "the response: a list expected, got an object" },
  { "produce", "[]", "the response: one metadata expected, got an empty list" },
  { "produce", '[{"topic":"t","partition":1,"offset":2,"timestamp":3},{}]',
    "the response: one metadata expected, got more" },
  { "produce", "[5]", "element 1 of the response: metadata: an object expected, got an integer" },
  { "produce", '[{"topic":"t","partition":1,"timestamp":3}]',
    "element 1 of the response: offset expected in the metadata, got none" },
  { "produce_many", '[{"topic":"t","partition":1,"offset":2,"timestamp":3},{"topic":5}]',
    "element 2 of the response: topic: a string expected, got an integer" },
  { "produce_many", '[{"topic":"t","partition":1,"offset":2,"timestamp":"x"}]',
    "element 1 of the response: timestamp: an integer expected, got a string" },
  { "webhook", "[]", "the response: an object expected, got a list" },
  { "webhook", '{"topic":"t"}', "the response: partition expected in the metadata, got none" },
  { "consume", "[" .. message_of { key = "null" } .. "]",
    "element 1 of the response: key: a string expected, got null" },
  { "consume", "[" .. message_of { value = "5" } .. "]",
    "element 1 of the response: value: a string expected, got an integer" },
  { "consume", "[" .. message_of { headers = "{}" } .. "]",
    "element 1 of the response: headers: a list expected, got an object" },
  { "consume", "[" .. message_of() .. "," .. message_of { headers = "[5]" } .. "]",
    "element 2 of the response: header: an object expected, got an integer" },
  { "consume", "[" .. message_of { headers = '[{"key":"k"}]' } .. "]",
    "element 1 of the response: value expected in the header, got none" },
  { "consume", "[" .. message_of() .. "] x", "malformed JSON at byte 89 of the response: something follows the value" },
  { "consume", "[" .. message_of() .. ",]",
    "malformed JSON at byte 87 of the response: a comma before the closing bracket" },
  { "topics", "[]", "the response: an object expected, got something else" },
  { "topics", '{"t":"1"}', "the response: a number of partitions for each topic expected, got something else" },
  { "topics", '{"t":1]', "malformed JSON at byte 6 of the response: expected ',' or the closing bracket" },
  { "topics", '{"t":x}', "malformed JSON at byte 5 of the response: expected a value" },
  { "consumers", "{}", "the response: a list expected, got something else" },
  { "consumers", "[x]", "malformed JSON at byte 1 of the response: expected a value" },
  { "commit", '{"status":200}', "the response: result expected in the result, got none" },
  { "commit", "null", "the response: an object expected, got null" },
  { "create_topic", '{"topic":"t"}', "the response: partitions expected in the topic, got none" },
  { "health", "[]", "the response: an object expected, got something else" },
  { "health", ('{"a":'):rep(100), "malformed JSON at byte 320 of the response: nested too deep" },
}

describe("a 2xx that is not what the API answers", function()
  for _, row in ipairs(bad_responses) do
    it("is bad_response: " .. row[1] .. " " .. row[2]:sub(1, 40), function()
      local result, text, details = answer(row[1], row[2])
      assert.is_nil(result)
      assert.equal(row[3], (text:gsub(" %(at topic .*$", "")))
      assert.equal(row[1] == "consume", details.again ~= nil)
      local position = details.position
      details.again, details.position = nil, nil
      assert.same({ error = text, code = "bad_response", retriable = false }, details)
      if position then
        assert.same({ topic = "t", partition = 0, offset = 5 }, position)
        assert.is_truthy(text:find(' (at topic "t", partition 0, offset 5)', 1, true), text)
      end
      -- Known if the message at fault has all three.
      assert.equal(row[1] == "consume" and row[3]:find "^element" ~= nil, position ~= nil)
    end)
  end

  it("A3: names the message at fault, for consume and fetch", function()
    local bad = message_of { topic = '"u"', partition = "3", offset = "17", value = "5" }
    -- The fault comes before its position.
    local early = '{"offset":9,"value":5,"topic":"t","partition":0}'
    for _, method in ipairs { "consume", "fetch" } do
      local _, text, details = answer(method, "[" .. message_of() .. "," .. bad .. "," .. message_of() .. "]")
      assert.same({ topic = "u", partition = 3, offset = 17 }, details.position)
      assert.equal('element 2 of the response: value: a string expected, got an integer '
        .. '(at topic "u", partition 3, offset 17)', text)
      assert.equal(text, details.error)
      assert.equal(method == "consume", details.again ~= nil)
      assert.is_nil(select(3, answer(method, "[" .. early .. "]")).position)
      local nameless = '{"partition":0,"offset":9,"value":5,"topic":"t"}'
      assert.is_nil(select(3, answer(method, "[" .. nameless .. "]")).position)
    end
  end)

  it("A3: names the first message of a response that is too large", function()
    local body = "[" .. message_of { topic = '"u"', partition = "3", offset = "17" } .. "," .. message_of() .. "]"
    for limit = 1, #body - 1 do
      local _, _, details = new({ max_response_bytes = limit }):finish({ name = "consume" }, 200, nil, body)
      assert.equal("response_too_large", details.code)
      assert.is_string(details.again)
      -- A number that the limit cuts off may have more digits.
      local whole = limit > select(2, body:find('"offset":17', 1, true))
      assert.same(whole and { topic = "u", partition = 3, offset = 17 } or nil, details.position)
    end
  end)

  it("names a position in responses that are too large only for messages", function()
    local narrow = new { max_response_bytes = 60 }
    local body = '[{"topic":"t","partition":1,"offset":2,"timestamp":3},{"topic":"t","partition":1}]'
    for method, known in pairs { produce_many = false, offsets = false, committed = false, fetch = true } do
      local _, _, details = narrow:finish({ name = method }, 200, nil, body)
      assert.equal("response_too_large", details.code)
      assert.equal(known, details.position ~= nil, method)
    end
  end)

  it("A3: a timestamp that this Lua's numbers cannot hold is not one: it becomes a string", function()
    for text, number in pairs { ["1764000000000000000"] = 1764000000000000000, ["9007199254740993"] = 0,
      ["9007199254740992"] = 9007199254740992, ["-1"] = -1, ["9223372036854775807"] = 0 } do
      local fits = exact or #text < 16 or text == "9007199254740992"
      local message = answer("consume", "[" .. message_of { timestamp = text } .. "]")[1]
      assert.equal(fits and "number" or "string", type(message.timestamp))
      assert.equal(text, fits and ("%d"):format(message.timestamp) or message.timestamp)
      if fits and number ~= 0 then assert.equal(number, message.timestamp) end
      local metadata = answer("produce", ('[{"topic":"t","partition":1,"offset":2,"timestamp":%s}]'):format(text))
      assert.same(message.timestamp, metadata.timestamp)
    end
  end)

  it("of a client without credentials says that none were sent, whatever its text", function()
    local anonymous = core.new { url = URL }
    for body, text in pairs { ["<html>"] = "no or wrong credentials", ['{"error":"who?","status":401}'] = "who?" } do
      local result, message, details = anonymous:finish({ name = "topics" }, 401, nil, body)
      assert.is_nil(result)
      assert.equal(text .. " (no credentials were sent: username and password are missing; those in the environment "
        .. "are used only with UPSTASH_KAFKA_REST_URL)", message)
      assert.same({ error = message, code = "unauthorized", status = 401, retriable = false }, details)
      local _, other = client:finish({ name = "topics" }, 401, nil, body)
      assert.equal(text, other)
    end
  end)

  it("may hold every integer that this Lua's numbers hold", function()
    for text, fits in pairs { ["9007199254740992"] = true, ["-9007199254740992"] = true,
      ["9007199254740993"] = exact, ["-9007199254740993"] = exact } do
      local topics, message, details = answer("topics", '{"t":' .. text .. "}")
      if fits then
        assert.equal(text, ("%d"):format(topics.t))
      else
        assert.same({ nil, "integer_range" }, { topics, details.code })
        assert.truthy(message:find(text, 1, true), message)
      end
    end
  end)

  it("is metadata of more or fewer messages than were sent", function()
    local metadata = '{"topic":"t","partition":1,"offset":2,"timestamp":3}'
    local request = client:prepare("produce_many", "t", { { value = "a" }, { value = "b" } })
    for _, body in ipairs { "[]", "[" .. metadata .. "]", "[" .. (metadata .. ","):rep(2) .. metadata .. "]" } do
      local result, text, details = client:finish(request, 200, nil, body)
      assert.is_nil(result)
      assert.truthy(text:match "^the response: metadata of 2 messages expected, got %d$")
      assert.same({ error = text, code = "bad_response", retriable = false }, details)
    end
    assert.equal(2, #assert(client:finish(request, 200, nil, "[" .. metadata .. "," .. metadata .. "]")))
  end)

  it("is every prefix of a valid response", function()
    local good = {
      produce = '[{"topic":"t","partition":1,"offset":2,"timestamp":3}]',
      webhook = '{"topic":"t","partition":1,"offset":2,"timestamp":3}',
      consume = "[" .. message_of { headers = '[{"key":"k","value":"\\u20ac"}]' } .. "," ..
        message_of { value = "null" } .. "]",
      offsets = '[{"topic":"t","partition":1,"offset":-1}]',
      topics = '{"a":1,"b":2}',
      consumers = '[{"name":"g","instances":[{"name":"i","topics":[]}]}]',
      commit = '{"result":"Success","status":200}',
      health = '{"status":"ok","engine":"log"}',
    }
    for method, body in pairs(good) do
      for length = 0, #body - 1 do
        local result, _, details = answer(method, body:sub(1, length))
        assert.is_nil(result)
        assert.equal("bad_response", details.code, method .. " " .. body:sub(1, length))
      end
      assert.truthy((answer(method, body)))
    end
  end)

  it("is one over max_response_bytes for finish too", function()
    local small = new { max_response_bytes = 10 }
    assert.same({ abc = 12 }, small:finish({ name = "topics" }, 200, nil, '{"abc":12}'))
    local _, _, details = small:finish({ name = "topics" }, 200, nil, '{"abc":123}')
    assert.equal("response_too_large", details.code)
  end)
end)

describe("a response that ends too early", function()
  it("is lost if only the end of the connection ended it", function()
    local _, _, details = answer("topics", '{"t":1', 200, {})
    assert.equal("connection_lost", details.code)
    _, _, details = answer("topics", "", 200, {})
    assert.equal("connection_lost", details.code)
    assert.same({ t = 1 }, answer("topics", '{"t":1}', 200, {}))
  end)

  it("is a bad response if its headers say where it ends", function()
    for _, name in ipairs { "content-length", "transfer-encoding" } do
      local _, _, details = answer("topics", '{"t":1', 200, { [name] = "x" })
      assert.equal("bad_response", details.code, name)
    end
    assert.equal("bad_response", select(3, answer("topics", '{"t":1')).code)
  end)
end)

describe("fail", function()
  it("returns what a method returns for that failure", function()
    local request = client:prepare("topics")
    local result, text, details = client:fail(request, "timeout")
    assert.is_nil(result)
    assert.equal("no answer in time", text)
    assert.same({ error = text, code = "timeout", retriable = true }, details)
    result, text, details = client:fail(request, "connection_lost", "it broke")
    assert.same({ error = "it broke", code = "connection_lost", retriable = true }, details)
    assert.same({ nil, "it broke" }, { result, text })
  end)

  it("E8: replaces the control characters of its text", function()
    local _, text, details = client:fail(client:prepare("topics"), "tls_failed", "\27[31m\r\n\0\194\155 \255é")
    assert.same({ "?[31m????? ?é", text }, { text, details.error })
  end)

  it("A3: says how to get the messages of a consume again, and where they begin", function()
    local request = client:prepare("consume", "g", "i", "t")
    assert.equal("the instance's next consume, commit or delete_consumer acknowledges the messages of this response. "
      .. "To get them again with auto_commit = false: commit what you have handled, call delete_consumer, then consume "
      .. "with a smaller max_messages. With auto-commit: send no request of this instance for session_timeout, then "
      .. "consume", select(3, client:fail(request, "timeout")).again)
    assert.is_nil(select(3, client:fail(request, "connect_failed")).again)
    local _, text, details = client:fail(request, "response_too_large", nil,
      '[{"topic":"t","partition":1,"offset":2,"timestamp":3,"key":"')
    assert.same({ topic = "t", partition = 1, offset = 2 }, details.position)
    assert.equal('the response is over max_response_bytes (at topic "t", partition 1, offset 2)', text)
    for _, beginning in ipairs { "", "[", '[{"topic":"t","partition":1,"off', "<html>", "\0\255", "[[[[" } do
      assert.is_nil(select(3, client:fail(request, "response_too_large", nil, beginning)).position)
    end
  end)
end)

describe("retry_delay", function()
  local delay = core.retry_delay

  it("doubles with jitter, up to a maximum", function()
    for attempt, most in ipairs { 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 } do
      for _ = 1, 20 do
        local got = delay(attempt, { code = "timeout" }, { retries = 20 })
        assert.is_true(got >= most / 2 and got <= most, got)
      end
    end
    assert.equal(0, delay(3, { code = "timeout" }, { retry_delay = 0 }))
    assert.is_true(delay(9, { code = "timeout" }, { retries = 9, retry_delay = 7, retry_delay_max = 9 }) <= 9)
  end)

  it("ends with the retries", function()
    assert.truthy(delay(3, { code = "timeout" }))
    assert.is_nil(delay(4, { code = "timeout" }))
    assert.is_nil(delay(1, { code = "timeout" }, { retries = 0 }))
  end)

  it("is nil for permanent failures and for unknown codes", function()
    for _, code in ipairs { "unauthorized", "bad_response", "tls_failed", "gone fishing" } do
      assert.is_nil(delay(1, { code = code }))
    end
    assert.is_nil(delay(1, {}))
  end)

  it("waits as long as the server asks, up to a minute", function()
    assert.equal(5000, delay(1, { code = "too_many", status = 429, retry_after = 5 }))
    assert.equal(60000, delay(1, { code = "too_many", status = 429, retry_after = 60 }))
    assert.is_nil(delay(1, { code = "too_many", status = 429, retry_after = 61 }))
  end)

  it("knows which methods may be executed twice", function()
    for _, method in ipairs { "produce", "produce_many", "webhook", "consume", "delete_consumer", "delete_topic" } do
      for _, code in ipairs { "connect_failed", "resolve_failed", "too_many", "unavailable" } do
        assert.truthy(delay(1, { code = code }, { method = method }))
      end
      for _, code in ipairs { "timeout", "connection_lost", "gateway_timeout" } do
        assert.is_nil(delay(1, { code = code }, { method = method }))
      end
      assert.is_nil(delay(1, { code = "unavailable", status = 502 }, { method = method }))
    end
    for _, method in ipairs { "fetch", "commit", "committed", "offsets", "topics", "consumers", "create_topic" } do
      for _, code in ipairs { "timeout", "connection_lost", "gateway_timeout", "connect_failed" } do
        assert.truthy(delay(1, { code = code }, { method = method }))
      end
    end
    assert.is_nil(delay(1, { code = "unavailable" }, { method = "health" }))
  end)

  it("knows that a server which honours keys executes a produce once", function()
    for _, method in ipairs { "produce", "produce_many", "webhook" } do
      for _, code in ipairs { "timeout", "connection_lost", "gateway_timeout", "connect_failed" } do
        assert.truthy(delay(1, { code = code }, { method = method, idempotent = true }))
        assert.is_nil(delay(1, { code = code, results = {} }, { method = method }))
        assert.truthy(delay(1, { code = code, results = {} }, { method = method, idempotent = true }))
      end
      assert.is_nil(delay(1, { code = "bad_request" }, { method = method, idempotent = true }))
    end
    assert.is_nil(delay(1, { code = "timeout" }, { method = "consume", idempotent = true }))
    assert.is_nil(delay(1, { code = "timeout", results = {} }, { method = "commit", idempotent = true }))
  end)
end)

-- Life ----------------------------------------------------------------------------------------

describe("a client", function()
  it("prints its URL without credentials", function()
    assert.equal("upstash.kafka.client (" .. URL .. ")", tostring(new()))
    local long = "http://" .. ("h"):rep(300)
    assert.equal("upstash.kafka.client (" .. long:sub(1, 255) .. ")", tostring(new { url = long }))
    local closed = new()
    closed:close()
    assert.equal("upstash.kafka.client (closed)", tostring(closed))
    assert.equal("protected", getmetatable(closed))
  end)

  it("raises after close, which may be called twice", function()
    local closed = new()
    closed:close()
    closed:close()
    for name in pairs(core.methods) do
      if name ~= "close" then
        assert.has_error(function() closed[name](closed) end, "client is closed")
      end
    end
  end)

  it("is the only thing that its methods take", function()
    for _, other in ipairs { io.stdout, {}, 5, "x" } do
      local fine, text = pcall(core.methods.produce, other, "t", "v")
      assert.is_false(fine)
      assert.truthy(text:find("upstash.kafka.client expected", 1, true), text)
    end
    assert.is_nil(client.__gc)
    assert.is_nil(client.__index)
  end)

  local scoped = _VERSION == "Lua 5.4" and it or function() end
  scoped("may be closed by its scope", function()
    local held = assert(load([[
      local new = ...
      local held
      do
        local client <close> = new()
        held = client
      end
      return held]]))(new)
    assert.equal("upstash.kafka.client (closed)", tostring(held))
  end)
end)

describe("under a collector that never rests", function()
  local function with_stress(run)
    collectgarbage("setpause", 0)
    collectgarbage("setstepmul", 1000)
    local fine, problem = pcall(run)
    collectgarbage("setpause", 200)
    collectgarbage("setstepmul", 200)
    if not fine then error(problem, 0) end
  end

  it("every request and many answers are the same", function()
    with_stress(function()
      for _, row in ipairs(requests) do
        local request = new():prepare(unpack(row[2]))
        assert.equal(row[6], request.body)
        assert.equal(row[4], request.path)
      end
      local list = {}
      for i = 1, 50 do
        list[i] = message_of { key = '"k' .. i .. '"', value = '"v' .. i .. '"',
          headers = '[{"key":"h","value":"' .. i .. '"}]' }
      end
      local messages = answer("consume", "[" .. table.concat(list, ",") .. "]")
      for i = 1, 50 do
        assert.equal("k" .. i, messages[i].key)
        assert.equal("v" .. i, messages[i].value)
        assert.equal(tostring(i), messages[i].headers[1].value)
      end
    end)
  end)

  -- Runs it 1,000 times, but for at most a second.
  local function for_a_while(run)
    local start = os.clock()
    for round = 1, 1000 do
      run(round)
      if os.clock() - start > 1 then break end
    end
  end

  -- Calls the function when the collector runs.
  local function litter(finalise)
    local function finalise_safely() pcall(finalise) end
    if newproxy then
      getmetatable(newproxy(true)).__gc = finalise_safely
    else
      setmetatable({}, { __gc = finalise_safely })
    end
  end

  it("finalisers may change the headers that are being sent", function()
    local headers, sent = nil, 0
    local function empty()
      for name in pairs(headers) do headers[name] = nil end
      collectgarbage()
    end
    local function fill()
      for i = 1, 200 do headers["more" .. i] = "x" end
    end
    with_stress(function()
      for_a_while(function(round)
        headers = {}
        for i = 1, round % 40 do headers[("a name of its own, %d of %d"):format(i, round)] = "v" end
        litter(round % 2 == 0 and empty or fill)
        local fine, request = pcall(client.prepare, client, "produce", "t", "v", { headers = headers })
        assert.truthy(fine and request.body or request:find("string expected, got nil", 1, true))
        if fine then sent = sent + 1 end
      end)
    end)
    assert.is_true(sent > 0)
  end)

  it("finalisers may change the options that a client is made from", function()
    local host = ("h"):rep(3000)
    with_stress(function()
      for_a_while(function(round)
        local options = { url = "http://" .. round .. host }
        litter(function()
          options.url = nil
          collectgarbage()
        end)
        local fine, made = pcall(core.new, options)
        assert.truthy(fine or made:find("url: required, but absent", 1, true))
        if fine then assert.equal("http://" .. round .. host .. "/topics", made:prepare("topics").url) end
      end)
    end)
  end)

  -- A finaliser may run between any two fields of a message.
  it("finalisers may use and close the client that is decoding", function()
    local used = new()
    local ran = 0
    local function finalise(close)
      ran = ran + 1
      used:finish({ name = "consume" }, 200, nil, "[" .. message_of { value = '"' .. ("y"):rep(3000) .. '"' } .. "]")
      if close then used:close() end
    end
    local list = {}
    for i = 1, 2000 do list[i] = message_of { key = '"k' .. i .. '"', value = '"' .. ("x"):rep(i % 90) .. i .. '"' } end
    local body = "[" .. table.concat(list, ",") .. "]"
    local function decode(close)
      for _ = 1, 50 do litter(function() finalise(close) end) end
      local fine, messages = pcall(used.finish, used, { name = "consume" }, 200, nil, body)
      if not fine and close then -- closed before the decoder started
        assert.is_truthy(messages:find("client is closed", 1, true), messages)
        return
      end
      assert.is_true(fine, messages)
      for i = 1, 2000 do
        assert.equal("k" .. i, messages[i].key)
        assert.equal(("x"):rep(i % 90) .. i, messages[i].value)
      end
    end
    -- The collector may need several rounds for a large heap.
    local rounds = 0
    repeat
      decode(false)
      rounds = rounds + 1
    until rounds >= 5 and ran > 0 or rounds == 200
    assert.is_true(ran > 0)
    decode(true)
  end)
end)
