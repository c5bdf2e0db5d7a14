-- Runs each configuration in examples/nginx, unchanged, in a real nginx.

local canned = require "spec.support.canned_server"
local cjson = require "cjson"
local free_port = require "spec.support.free_port"
local http = require "spec.support.http"
local server_support = require "spec.support.server"
local shell = require "spec.support.shell"
local support = require "spec.support.nginx"

if not support.runs_here then return pending(support.NEEDS) end

describe("examples/nginx/", function()
  local server, client, nginx

  before_each(function()
    server = server_support.start()
    client = server:client()
  end)

  after_each(function()
    support.stop_all()
    server:stop()
  end)

  local function run(name, replace)
    nginx = support.start { example = "examples/nginx/" .. name, environment = server:environment(), replace = replace }
  end

  local function all(topic)
    local list, partitions = {}, client:topics()[topic] or 0
    for partition = 0, partitions - 1 do
      for message in client:records { topic = topic, partition = partition, to = "latest" } do
        list[#list + 1] = message
      end
    end
    return list
  end

  it("access-log.conf ships a message for each request", function()
    run "access-log.conf"
    for number = 1, 20 do assert.equal("hello\n", nginx:get("/page/" .. number).body) end
    local messages = shell.eventually(10, function()
      local list = all "access-log"
      return #list >= 20 and list
    end)
    local seen = {}
    for _, message in ipairs(messages) do
      local entry = assert(message:json())
      seen[entry.uri] = true
      assert.equal("GET", entry.method)
      assert.equal(200, entry.status)
      assert.equal("127.0.0.1", entry.client)
    end
    for number = 1, 20 do assert.is_true(seen["/page/" .. number]) end
    local stats = http.client("http://127.0.0.1:" .. nginx.second_port, "-", "-"):request("GET", "/stats")
    assert.is_number(cjson.decode(stats.body).delivered)
    assert.equal(0, (nginx:finish "QUIT"))
    assert.is_nil(nginx:log():find("[error]", 1, true), nginx:log())
  end)

  it("F4: access-log.conf ships a request whose path is not UTF-8, with any bytes escaped", function()
    run "access-log.conf"
    local paths = { "/caf\233", "/caf\195\169", "/a%20b?q=%ff", '/quote"\\', "/\128\255" }
    local function get(path)
      local connection = assert(require("socket").connect("127.0.0.1", nginx.port))
      connection:settimeout(10)
      assert(connection:send("GET " .. path .. " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
      local status = connection:receive("*a"):match "^HTTP/1.1 (%d+) "
      connection:close()
      return status
    end
    for _, path in ipairs(paths) do assert.equal("200", get(path)) end
    assert.equal("400", get "/\0") -- nginx logs what it refuses, too
    local messages = shell.eventually(10, function()
      local list = all "access-log"
      return #list > #paths and list
    end)
    local seen = {}
    for _, message in ipairs(messages) do seen[assert(message:json()).uri] = true end
    for _, uri in ipairs { "/caf%E9", "/caf%C3%A9", "/a%20b?q=%ff", '/quote"\\', "/%80%FF" } do
      assert.is_true(seen[uri], uri)
    end
    assert.equal(0, (nginx:finish "QUIT"))
    assert.is_nil(nginx:log():find("[error]", 1, true), nginx:log())
  end)

  it("F4: produce.conf stores a body that nginx put into a file", function()
    run("produce.conf", { ["client_body_buffer_size 1m;"] = "client_body_buffer_size 1k;" })
    for _, size in ipairs { 0, 1, 1024, 1025, 500000 } do
      local value = ("b"):rep(size)
      local response = nginx:post("/events", value)
      assert.equal(200, response.status, response.body)
      local metadata = cjson.decode(response.body)
      local message = assert(client:fetch("events", metadata.partition, metadata.offset))[1]
      assert.equal(value, message.value)
    end
    assert.is_truthy(nginx:log():find("is buffered to a temporary file", 1, true))
  end)

  it("F4: produce.conf decodes the key", function()
    run "produce.conf"
    for query, key in pairs { ["?key=a%20b"] = "a b", ["?key=a+b"] = "a b", ["?key=%C3%A9%26%3D"] = "\195\169&=",
      ["?other=1"] = "", ["?key"] = "", ["?key="] = "", ["?key=first&key=second"] = "first" } do
      local response = nginx:post("/events" .. query, "v")
      assert.equal(200, response.status, response.body)
      local metadata = cjson.decode(response.body)
      assert.equal(key, assert(client:fetch("events", metadata.partition, metadata.offset))[1].key, query)
    end
    local response = nginx:post("/events?key=%FF", "v")
    assert.equal(400, response.status)
    assert.is_truthy(cjson.decode(response.body).error:find("key is not valid UTF-8", 1, true), response.body)
  end)

  it("F4: produce.conf finds the key after any number of arguments", function()
    run "produce.conf"
    for _, count in ipairs { 99, 100, 101, 1000 } do
      local response = nginx:post("/events?" .. ("a=&"):rep(count) .. "key=k", "v")
      assert.equal(200, response.status, response.body)
      local metadata = cjson.decode(response.body)
      assert.equal("k", assert(client:fetch("events", metadata.partition, metadata.offset))[1].key)
    end
  end)

  -- Returns what produce.conf answers if the server follows these steps, or is at that URL.
  local function failing(steps, timeout)
    local answering = type(steps) == "table" and canned.start(steps)
    nginx = support.start { example = "examples/nginx/produce.conf",
      environment = server:environment { UPSTASH_KAFKA_REST_URL = answering and answering.url or steps },
      replace = { ["timeout = 5000"] = ("timeout = %d, retries = 0"):format(timeout or 60000) } }
    local response = nginx:post("/events", "v")
    nginx:stop()
    if answering then answering:finish() end
    local body = cjson.decode(response.body)
    assert.equal(response.status, body.status)
    return response.status, body.error, response.headers["retry-after"]
  end

  -- The status of the server, and that of produce.conf.
  for from, to in pairs { [400] = 400, [404] = 404, [405] = 405, [409] = 409, [413] = 413, [422] = 422, [431] = 431,
    [418] = 418, [408] = 503, [429] = 503, [503] = 503, [401] = 502, [403] = 502, [500] = 504, [502] = 504, [504] = 504,
    [599] = 504 } do
    it(("F4: produce.conf answers %d of the server with %d"):format(from, to), function()
      local answer = canned.answer(from, ('{"error":"so it is","status":%d}'):format(from), { "Retry-After: 7" })
      local status, text, retry_after = failing { "accept", "read", answer, "close" }
      assert.equal(to, status)
      assert.equal(to == 504 and "the message may have been stored: so it is" or "so it is", text)
      assert.equal(to == 503 and "7" or nil, retry_after)
    end)
  end

  it("F4: produce.conf says whether a message may have been stored", function()
    local MAY_BE = "^the message may have been stored: "
    local rows = {
      { 504, { "accept", "read", "close" } },
      { 504, { "accept", "read", "gone" }, 300 },
      { 504, { "accept", "read", canned.answer(200, "no JSON"), "close" } },
      { 503, "http://127.0.0.1:" .. free_port() },
      { 503, "http://nowhere.invalid" },
    }
    for _, row in ipairs(rows) do
      local status, text, retry_after = failing(row[2], row[3])
      assert.equal(row[1], status, text)
      assert.equal(status == 504, text:find(MAY_BE) ~= nil, text)
      assert.equal(status == 503 and "1" or nil, retry_after)
    end
  end)

  it("produce.conf answers once the message is stored, and with 503 if it cannot be", function()
    run "produce.conf"
    local response = nginx:post("/events?key=k", "hello")
    assert.equal(200, response.status, response.body)
    local metadata = cjson.decode(response.body)
    assert.equal("events", metadata.topic)
    local message = all("events")[1]
    assert.same({ "hello", "k" }, { message.value, message.key })
    assert.equal(405, nginx:get("/events").status)
    response = nginx:post("/events", "\255")
    assert.equal(400, response.status)
    assert.truthy(cjson.decode(response.body).error:find("not valid UTF-8", 1, true))
    server.handle:stop()
    response = nginx:post("/events", "nobody there")
    assert.equal(503, response.status)
    assert.equal("1", response.headers["retry-after"])
    assert.truthy(cjson.decode(response.body).error:find "^could not connect to ")
  end)

  it("consume.conf reads each message, over a reload", function()
    client:create_topic("events", { partitions = 4 })
    run "consume.conf"
    local function seen(count)
      shell.eventually(20, function() return nginx:get("/seen").body == count .. "\n" end)
    end
    server:fill("events", 1, 100, 4)
    seen(100)
    nginx:reload()
    server:fill("events", 101, 200, 4)
    seen(200)
    assert.equal(0, (nginx:finish "QUIT"))
    for partition = 0, 3 do assert.equal(50, server:committed("nginx", "events", partition)) end
    assert.same({}, server:instances "nginx")
    assert.is_nil(nginx:log():find("[error]", 1, true), nginx:log())
  end)
end)
