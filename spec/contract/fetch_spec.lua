-- Section 5 of the contract: fetch, without groups.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local post, ok, refused = service.post, service.ok, service.refused

describe("fetch:", function()
  service.attach()

  local function request(body, method)
    return ok(service.request(method or "POST", "/fetch", { body = service.json(body) }))
  end

  for _, method in ipairs { "GET", "POST" } do
    it(method .. " accepts a single position", function()
      local topic = service.topic(2)
      service.fill(topic, 3, 1)
      local messages = request({ topic = topic, partition = 1, offset = 1, timeout = 1000 }, method)
      assert.same({ "2", "3" }, service.values(messages))
    end)
  end

  it("returns complete messages", function()
    local topic = service.topic(1)
    local metadata = service.produce(topic, { { value = "v", key = "k" }, { value = "w" } })
    assert.same({
      { topic = topic, partition = 0, offset = 0, timestamp = metadata[1].timestamp, key = "k",
        value = "v", headers = {} },
      { topic = topic, partition = 0, offset = 1, timestamp = metadata[2].timestamp, key = "",
        value = "w", headers = {} },
    }, service.fetch_all(topic, 0, 2))
  end)

  it("writes an empty list of headers as an array", function()
    local topic = service.topic(1)
    service.produce(topic, "v")
    local response = post("/fetch", { topic = topic, partition = 0, offset = 0 })
    assert.is_truthy(response.body:find '"headers"%s*:%s*%[%s*%]')
  end)

  local function spread()
    local one, two = service.topic(3), service.topic(2)
    service.fill(one, 3, 0)
    service.fill(one, 3, 2)
    service.fill(two, 3, 1)
    return one, two
  end

  -- The offsets that arrive for positions, by topic and partition, until there are `total`.
  local function collect(body, total)
    local found, count
    service.eventually(10, function()
      found, count = {}, 0
      for _, message in ipairs(request(body)) do
        local place = service.place(message)
        found[place] = found[place] or {}
        table.insert(found[place], message.offset)
        count = count + 1
      end
      return count >= total
    end)
    return found
  end

  it("accepts a list of positions", function()
    local one, two = spread()
    local body = { topicPartitionOffsets = {
      { topic = one, partition = 0, offset = 1 }, { topic = one, partition = 2, offset = 0 },
      { topic = two, partition = 1, offset = 2 },
    } }
    assert.same({ [one .. "/0"] = { 1, 2 }, [one .. "/2"] = { 0, 1, 2 }, [two .. "/1"] = { 2 } },
      collect(body, 6))
  end)

  it("accepts both forms together", function()
    local one, two = spread()
    local body = { topic = one, partition = 0, offset = 2, timeout = 1000,
      topicPartitionOffsets = { { topic = two, partition = 1, offset = 1 } } }
    assert.same({ [one .. "/0"] = { 2 }, [two .. "/1"] = { 1, 2 } }, collect(body, 3))
  end)

  it("accepts the request in an array of one", function()
    local topic = service.topic(1)
    service.fill(topic, 2)
    local messages = request { { topic = topic, partition = 0, offset = 1 } }
    assert.same({ "2" }, service.values(messages))
  end)

  it("keeps no position between requests", function()
    local topic = service.topic(1)
    service.fill(topic, 3)
    for _ = 1, 2 do
      assert.same({ "1", "2", "3" }, service.values(service.fetch_all(topic, 0, 3)))
    end
  end)

  describe("at the end", function()
    it("waits until its timeout and returns an empty array", function()
      local topic = service.topic(1)
      local response = post("/fetch", { topic = topic, partition = 0, offset = 0, timeout = 1200 })
      assert.same({}, ok(response))
      assert.is_truthy(response.body:find "^%s*%[")
      assert.is_true(response.seconds >= 1.18, response.seconds) -- more than the default
    end)

    it("waits a second by default", function()
      local response = post("/fetch", { topic = service.topic(1), partition = 0, offset = 0 })
      assert.same({}, ok(response))
      assert.is_true(response.seconds >= 0.95, response.seconds)
    end)

    it("does not wait with timeout 0", function()
      local body = { topic = service.topic(1), partition = 0, offset = 0, timeout = 0 }
      service.quickly(0.9, function()
        local response = post("/fetch", body)
        assert.same({}, ok(response))
        return response
      end)
    end)

    it("returns when a message arrives", function()
      local topic = service.topic(2)
      service.fill(topic, 2, 1)
      local body = service.json { timeout = 120000, topicPartitionOffsets = {
        { topic = topic, partition = 0, offset = 0 }, { topic = topic, partition = 1, offset = 2 },
      } }
      local pending = service.client:start("POST", "/fetch", { body = body })
      service.sleep(0.2)
      service.produce(topic, { { value = "fresh", partition = 1 } })
      http.collect { pending }
      assert.same({ "fresh" }, service.values(ok(pending.response)))
    end)

    it("in one partition does not delay another", function()
      local topic = service.topic(2)
      service.fill(topic, 1, 1)
      local response = post("/fetch", { timeout = 120000, topicPartitionOffsets = {
        { topic = topic, partition = 0, offset = 0 }, { topic = topic, partition = 1, offset = 0 },
      } })
      assert.same({ "1" }, service.values(ok(response)))
    end)

    it("an offset past the end waits, and returns nothing older", function()
      local topic = service.topic(1)
      local body = service.json { topic = topic, partition = 0, offset = 2, timeout = 120000 }
      local pending = service.client:start("POST", "/fetch", { body = body })
      service.sleep(0.1)
      service.fill(topic, 2)
      service.sleep(0.1)
      service.produce(topic, "third")
      http.collect { pending }
      assert.same({ "third" }, service.values(ok(pending.response)))
    end)

    it("the last offset of 64 bits is past every end", function()
      local body = ('{"topic":"%s","partition":0,"offset":9223372036854775807,"timeout":100}')
      assert.same({}, ok(post("/fetch", body:format(service.topic(1)))))
    end)
  end)

  it("returns available messages at once, whatever the timeout", function()
    local topic = service.topic(1)
    service.produce(topic, "v")
    local response = post("/fetch", { topic = topic, partition = 0, offset = 0, timeout = 120000 })
    assert.equal(1, #ok(response))
  end)

  it("names the range when the offset is below the earliest one", function()
    local topic = service.topic(1)
    service.fill(topic, 7)
    for _, offset in ipairs { -1, -5 } do
      local body = { topic = topic, partition = 0, offset = offset, timeout = 100 }
      local said = refused(post("/fetch", body), 400)
      local rest = said:gsub(topic:gsub("%p", "%%%0"), "")
      assert.is_truthy(rest:find "%f[%d]0%f[%D].*%f[%d][67]%f[%D]", said)
    end
  end)

  it("refuses the whole request when one position is wrong", function()
    local topic = service.topic(1)
    service.fill(topic, 1)
    refused(post("/fetch", { timeout = 100, topicPartitionOffsets = {
      { topic = topic, partition = 0, offset = 0 }, { topic = topic, partition = 1, offset = 0 },
    } }), 400)
  end)
end)
