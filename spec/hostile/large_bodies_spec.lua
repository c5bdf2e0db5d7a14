-- for: http_pool.c, http_run.c
--
-- E7: bodies that take long to read hold up nobody, and none of them is lost.

local http = require "spec.support.http"
local support = require "spec.support.server"

describe("E7: large bodies", function()
  local server, raw, client

  before_each(function()
    server = support.start { threads = 1 }
    raw = http.client(server.url, server.username, server.password)
    client = server:client { retries = 0 }
  end)

  after_each(function()
    client:close()
    server:stop()
  end)

  it("E7: of several connections are read while others are served", function()
    local topic = server:topic(1, 0)
    local message = '{"value":"","headers":{' .. ('"":"",'):rep(1000) .. "}}"
    local body = http.gzip("[" .. (message .. ","):rep(99) .. message .. "]")
    local pendings = {}
    for i = 1, 40 do
      pendings[i] = raw:start("POST", "/produce/" .. topic,
        { body = body, headers = { ["Content-Encoding"] = "gzip" } })
      assert.is_truthy(client:topics())
    end
    http.collect(pendings)
    for _, pending in ipairs(pendings) do assert.equal(200, pending.response.status) end
    assert.equal(4000, client:offsets("latest", { topic = topic, partition = 0 })[1].offset)
  end)

  it("E7: of clients that go away meanwhile hold up nobody", function()
    local topic = server:topic(1, 0)
    local body = '{"value":"' .. ("v"):rep(100000) .. '"}'
    for _ = 1, 20 do raw:start("POST", "/produce/" .. topic, { body = body }).connection:close() end
    assert.is_truthy(client:produce(topic, ("v"):rep(100000)))
    assert.is_truthy(client:offsets("latest", { topic = topic, partition = 0 })[1].offset >= 1)
  end)
end)
