-- Section 8 of the contract: null values.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local post, ok, refused = service.post, service.ok, service.refused

local function produced(body, options)
  local topic = service.topic(1)
  ok(post("/produce/" .. topic, body, options))
  return topic
end

local function position(topic)
  return { topic = topic, partition = 0, offset = 0, timeout = 5000 }
end

describe("tombstones:", function()
  service.attach()

  it("a null value is produced and fetched as null", function()
    local response = post("/fetch", position(produced '{"key":"gone","value":null}'))
    local message = ok(response)[1]
    assert.equal(service.null, message.value)
    assert.equal("gone", message.key)
    assert.is_truthy(response.body:find '"value"%s*:%s*null')
  end)

  it("a null value is consumed as null", function()
    local topic = produced '{"key":"gone","value":null}'
    local message = service.consume_all(service.name "group", "one", topic, 1, service.EARLIEST)[1]
    assert.equal(service.null, message.value)
    assert.equal("gone", message.key)
  end)

  it("differs from the empty string and from the word null", function()
    local topic = produced '[{"value":"null"},{"value":null},{"value":""},{"value":"v"}]'
    local values = service.values(service.fetch_all(topic, 0, 4))
    assert.same({ "null", service.null, "", "v" }, values)
  end)

  it("keeps headers and needs no key", function()
    local topic = produced '{"value":null,"headers":[{"key":"h","value":"w"}]}'
    local message = ok(post("/fetch", position(topic)))[1]
    assert.equal(service.null, message.value)
    assert.equal("", message.key)
    assert.same({ { key = "h", value = "w" } }, message.headers)
  end)

  it("is null in base64 too", function()
    local options = { headers = { ["Kafka-Encoding"] = "base64" } }
    local topic = produced({ value = service.null, key = http.base64 "gone" }, options)
    local message = ok(post("/fetch", position(topic), options))[1]
    assert.equal(service.null, message.value)
    assert.equal(http.base64 "gone", message.key)
  end)

  it("counts as a value: a missing value is still a 400", function()
    refused(post("/produce/" .. service.topic(1), '{"key":"gone"}'), 400, "value")
  end)
end)
