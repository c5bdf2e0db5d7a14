-- Section 1 of the contract: GET /.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local get, ok, refused = service.get, service.ok, service.refused

describe("root:", function()
  service.attach()

  it("B8: GET / identifies the server, without credentials", function()
    local page = ok(get("/", { auth = false }))
    assert.equal("upstash-kafka", page.name)
    assert.is_truthy(page.version:match "^%d+%.%d+%.%d+$", page.version)
    assert.is_truthy(page.documentation:find("rest-api", 1, true), page.documentation)
  end)

  it("every path that it names exists", function()
    for name, value in pairs(ok(get("/", { auth = false }))) do
      if value:sub(1, 1) == "/" then assert.equal(200, get(value, { auth = false }).status, name) end
    end
  end)

  it("ignores wrong credentials", function()
    ok(get("/", { auth = http.basic("nobody", "nothing") }))
  end)

  it("accepts only GET and HEAD", function()
    local response = service.post("/", nil, { auth = false })
    refused(response, 405)
    assert.equal("GET, HEAD, OPTIONS", response.headers.allow)
  end)

  it("accepts no query", function()
    refused(get("/?colour=red", { auth = false }), 400, "colour")
  end)
end)
