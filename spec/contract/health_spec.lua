-- Section 8 of the contract: GET /health.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local get, ok, refused = service.get, service.ok, service.refused

describe("health:", function()
  service.attach()

  it("returns 200 with the engine's state, without credentials", function()
    local state = ok(get("/health", { auth = false }))
    assert.equal("ok", state.status)
    assert.equal("string", type(state.engine))
  end)

  it("accepts correct credentials", function()
    assert.equal("ok", ok(get "/health").status)
  end)

  it("ignores wrong ones", function()
    assert.equal("ok", ok(get("/health", { auth = http.basic("nobody", "nothing") })).status)
  end)

  it("accepts a trailing slash", function()
    ok(get("/health/", { auth = false }))
  end)

  it("accepts only GET and HEAD", function()
    local response = service.post("/health", nil, { auth = false })
    refused(response, 405)
    assert.is_truthy(response.headers.allow:find "GET")
  end)

  it("is answered while consumes wait", function()
    local topic, group = service.topic(1), service.name "group"
    local path = ("/consume/%s/one/%s?timeout=120000"):format(group, topic)
    local pending = service.client:start("GET", path, { headers = service.EARLIEST })
    assert.equal("ok", ok(get("/health", { auth = false })).status)
    assert.is_nil(pending.response)
    service.produce(topic, "v")
    http.collect { pending }
  end)
end)
