-- for: budget.c, memory_limit.c, http_exchange.c, http_reply.c, api.c, api_produce.c
--
-- E3: strangers that make the server hold memory. What they can take together is bounded, and
-- ordinary requests go on.

local http = require "spec.support.http"
local support = require "spec.support.server"

local MIB = 1048576

local function list(count, item)
  return "[" .. (item .. ","):rep(count - 1) .. item .. "]"
end

describe("E3: the memory of all requests", function()
  local server, raw, client

  local function start(megabytes)
    server = support.start { max_request_memory = megabytes * MIB }
    raw = http.client(server.url, server.username, server.password)
    client = server:client { retries = 0 }
  end

  after_each(function()
    client:close()
    server:stop()
  end)

  it("E3: is not taken by a few kilobytes of gzip with 761,000 headers", function()
    start(64)
    local message = '{"value":"","headers":{' .. ('"":"",'):rep(1000) .. "}}"
    local body = http.gzip(list(761, message))
    assert.is_truthy(#body < 50000)
    local response = raw:request("POST", "/produce/t", { body = body, headers = { ["Content-Encoding"] = "gzip" } })
    assert.equal(400, response.status)
    assert.is_truthy(response.body:find("[100].headers: at most 100000 items expected in one request", 1, true),
      response.body)
    assert.is_truthy(client:produce("t", "v"))
  end)

  it("E3: is not taken by the bodies of requests that wait", function()
    start(8)
    local topic = server:topic(1, 0)
    local position = ('{"topic":"%s","partition":0,"offset":0}'):format(topic)
    local body = '{"timeout":600000,"topicPartitionOffsets":' .. list(2000, position) .. "}"
    local pendings = {}
    for i = 1, 60 do pendings[i] = raw:start("POST", "/fetch", { body = body }) end
    assert.is_truthy(client:topics())
    assert.is_truthy(client:produce(topic, "for everybody"))
    http.collect(pendings)
    local served = 0
    for _, pending in ipairs(pendings) do
      served = served + (pending.response.status == 200 and 1 or 0)
      assert.is_truthy(pending.response.status == 200 or pending.response.status == 503)
    end
    assert.is_truthy(served > 0)
  end)

  it("E3: is shared with clients that do not read their responses", function()
    start(24)
    local topic = server:topic(1, 0)
    for _ = 1, 20 do assert(client:produce(topic, ("v"):rep(MIB - 100))) end
    local body = ('{"topic":"%s","partition":0,"offset":0,"max_bytes":67108864}'):format(topic)
    local pendings = {}
    for i = 1, 10 do pendings[i] = raw:start("POST", "/fetch", { body = body }) end
    for i = 1, 20 do assert.is_truthy(client:produce(topic, "small " .. i)) end
    assert.is_truthy(client:topics())
    for _, pending in ipairs(pendings) do
      local response = pending.connection:receive("POST")
      assert.is_truthy(response.status == 200 or response.status == 503, response.status)
      if response.status == 503 then
        assert.equal("1", response.headers["retry-after"])
        assert.is_truthy(response.body:find("--max-request-memory is 25165824 bytes", 1, true), response.body)
      end
      pending.connection:close()
    end
    local response = raw:request("POST", "/fetch", { body = body })
    assert.equal(200, response.status)
    assert.is_truthy(#response.body > 8 * MIB)
  end)

  it("E3: refuses what can never fit, by name", function()
    start(4)
    local response = raw:request("POST", "/webhook?topic=t", { body = ("v"):rep(4 * MIB) })
    assert.equal(413, response.status)
    assert.is_truthy(response.body:find("--max-request-memory allows 3145728 for one request", 1, true), response.body)
    assert.is_nil(response.headers["retry-after"])
    assert.is_truthy(client:produce("t", "v"))
  end)
end)
