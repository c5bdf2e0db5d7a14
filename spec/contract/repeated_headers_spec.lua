-- for: dispatch.c. Request headers that come twice.

local http = require "spec.support.http"
local service = require "spec.contract.service"

-- Each header with one value: the values that differ, and one that may come twice.
local SINGLE = {
  ["Authorization"] = { http.basic("a", "b") },
  ["Content-Type"] = { "text/plain", "application/json" },
  ["Host"] = { "one.example", "other.example" },
  ["Idempotency-Key"] = { "one", "other" },
  ["Kafka-Ack"] = { "none", "other" },
  ["Kafka-Auto-Commit-Interval"] = { "100", "200" },
  ["Kafka-Auto-Offset-Reset"] = { "earliest", "latest" },
  ["Kafka-Commit"] = { "one", "other" },
  ["Kafka-Enable-Auto-Commit"] = { "true", "false" },
  ["Kafka-Encoding"] = { "base64", "none" },
  ["Kafka-Session-Timeout-Ms"] = { "20000", "30000" },
  ["Origin"] = { "https://one.example", "https://other.example" },
  ["Sec-Fetch-Mode"] = { "cors", "navigate" },
  ["Sec-Fetch-Site"] = { "same-origin", "cross-site" },
}

describe("a request header that comes twice", function()
  service.attach()

  local function twice(name, first, second)
    return { headers = { { name, first }, { name:lower(), second } } }
  end

  for name, values in pairs(SINGLE) do
    it("with different values is a 400 that changes nothing: " .. name, function()
      local topic, group = service.topic(1), service.name "group"
      -- The client sends its own Authorization.
      local options = values[2] and twice(name, values[1], values[2]) or { headers = { { name, values[1] } } }
      local said = service.refused(service.get(("/produce/%s/v"):format(topic), options), 400, name .. ": given twice")
      assert.is_nil(said:find("Basic", 1, true))
      options.body = '{"value":"v"}'
      service.refused(service.request("POST", "/produce/" .. topic, options), 400, name)
      service.refused(service.request("POST", "/webhook?topic=" .. topic, options), 400, name)
      service.refused(service.get(("/consume/%s/i/%s?timeout=0"):format(group, topic), options), 400, name)
      assert.equal(0, service.end_offset(topic))
      assert.same({}, service.assignment(group))
    end)
  end

  it("with different Kafka-Ack leaves the batch outstanding", function()
    local topic, group = service.topic(1), service.name "group"
    service.fill(topic, 2)
    local path, batch = ("/consume/%s/i/%s"):format(group, topic), nil
    service.eventually(15, function()
      local response = service.get(path .. "?timeout=200&max_messages=1", { headers = service.MANUAL })
      batch = response.headers["kafka-batch"]
      return batch
    end)
    for _, name in ipairs { "Kafka-Ack", "Kafka-Commit" } do
      for _, options in ipairs { twice(name, batch, "other"), twice(name, "other", batch) } do
        service.refused(service.get(path, options), 400, name)
        options.body = "[]"
        service.refused(service.request("POST", ("/commit/%s/i"):format(group), options), 400, name)
        service.refused(service.request("POST", ("/delete-consumer/%s/i"):format(group), options), 400, name)
      end
    end
    local again = service.get(path, { headers = { ["Kafka-Ack"] = "none" } })
    assert.equal(batch, again.headers["kafka-batch"])
    assert.equal(-1, service.committed(group, topic))
  end)

  it("with equal values is like one", function()
    local topic, key = service.topic(1), service.name "key"
    local options = twice("Idempotency-Key", key, key)
    options.headers[3] = { "Content-Type", "application/json" }
    options.headers[4] = { "content-type", " application/json\t" }
    options.body = '{"value":"v"}'
    for replays = 0, 1 do
      local response = service.request("POST", "/produce/" .. topic, options)
      service.ok(response)
      assert.equal(replays == 1 and "true" or nil, response.headers["idempotent-replayed"])
    end
    assert.equal(1, service.end_offset(topic))
  end)

  it("and is not the server's own is none of its business", function()
    local topic = service.topic(1)
    local options = twice("X-Trace", "1", "2")
    options.body = "v"
    service.ok(service.request("POST", "/webhook?topic=" .. topic, options))
    assert.same({ { key = "X-Trace", value = "1" }, { key = "x-trace", value = "2" } },
      service.fetch(topic, 0, 0)[1].headers)
  end)
end)
