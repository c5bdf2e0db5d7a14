-- Section 1 of the contract: HEAD.

local endpoints = require "spec.contract.endpoints"
local service = require "spec.contract.service"

local get, request = service.get, service.request

local PATHS = { "/", "/health", "/topics", "/consumers" }

-- Two answers to the same request may differ in these.
local function comparable(headers)
  local all = {}
  for name, value in pairs(headers) do all[name] = value end
  all.date, all["x-request-id"] = nil, nil
  return all
end

-- GET's and HEAD's answers to the same state: on a shared cluster other suites create topics.
local function both(path)
  for _ = 1, 50 do
    local whole, head = get(path), request("HEAD", path)
    if get(path).body == whole.body then return whole, head end
  end
  error("the answer to GET " .. path .. " differs each time")
end

describe("HEAD:", function()
  service.attach()

  for _, path in ipairs(PATHS) do
    it("B6: HEAD " .. path .. " responds like GET, without the body", function()
      local whole, head = both(path)
      assert.equal(200, head.status)
      assert.same(comparable(whole.headers), comparable(head.headers))
      assert.equal(tostring(#whole.body), head.headers["content-length"])
    end)

    it("B6: HEAD " .. path .. " leaves the connection for the next request", function()
      local connection = service.client:connect()
      connection:send(service.client:build("HEAD", path) .. service.client:build("GET", path))
      assert.equal(200, connection:receive("HEAD").status)
      service.ok(connection:receive "GET")
      connection:close()
    end)
  end

  it("/ and /health need no credentials, the others do", function()
    for _, path in ipairs(PATHS) do
      local expected = (path == "/" or path == "/health") and 200 or 401
      assert.equal(expected, request("HEAD", path, { auth = false }).status, path)
    end
  end)

  it("an error has no body either, but GET's Content-Length", function()
    local whole, head = get "/nowhere", request("HEAD", "/nowhere")
    assert.equal(404, head.status)
    assert.equal(tostring(#whole.body), head.headers["content-length"])
  end)

  for _, endpoint in ipairs(endpoints) do
    local path = endpoint.path
    if path ~= "/topics" and path ~= "/consumers" then
      it("is not allowed for " .. endpoint.name, function()
        local response = endpoints.request(endpoint, "HEAD", { dead = true })
        assert.equal(405, response.status)
        assert.is_nil(response.headers.allow:find("HEAD", 1, true))
      end)
    end
  end

  it("a produce by HEAD stores nothing", function()
    local topic = service.topic(1)
    assert.equal(405, request("HEAD", "/produce/" .. topic .. "/hello").status)
    assert.equal(0, service.end_offset(topic))
  end)
end)
