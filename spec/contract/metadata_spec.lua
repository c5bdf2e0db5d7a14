-- Section 6 of the contract: topics and offsets; and GET /consumers of section 4.

local service = require "spec.contract.service"

local get, ok, refused = service.get, service.ok, service.refused

describe("metadata:", function()
  service.attach()

  describe("GET /topics", function()
    it("maps names to partition counts", function()
      local one, three = service.topic(1), service.topic(3)
      local response = get "/topics"
      local topics = ok(response)
      assert.equal(1, topics[one])
      assert.equal(3, topics[three])
      assert.is_truthy(response.body:find "^%s*{")
    end)

    it("omits internal topics", function()
      local topic = service.topic(1)
      service.join(service.name "group", "one", topic, service.EARLIEST)
      for name in pairs(ok(get "/topics")) do assert.is_nil(name:find "^__", name) end
    end)
  end)

  describe("offsets", function()
    local base = math.floor(service.now()) * 1000 - 60000

    -- Six messages; the third has an earlier timestamp than the second.
    local function stamped()
      local topic, messages = service.topic(2), {}
      for index, after in ipairs { 0, 20, 10, 20, 30, 30 } do
        messages[index] = { value = "v", partition = 1, timestamp = base + after }
      end
      service.produce(topic, messages)
      return topic
    end

    local function offset_at(timestamp, topic, partition)
      local path = type(timestamp) == "number" and ("%.0f"):format(timestamp) or timestamp
      local body = service.json { topic = topic, partition = partition or 1 }
      local offsets = ok(get("/offsets/" .. path, { body = body }))
      assert.equal(1, #offsets)
      assert.equal(topic, offsets[1].topic)
      assert.equal(partition or 1, offsets[1].partition)
      return offsets[1].offset
    end

    for after, offset in pairs {
      [-1] = 0, [0] = 0, [1] = 1, [10] = 1, [11] = 1, [20] = 1, [21] = 4, [30] = 4, [31] = 6,
    } do
      it(("at %+d ms: the earliest offset that late is %d"):format(after, offset), function()
        assert.equal(offset, offset_at(base + after, stamped()))
      end)
    end

    it("are exact over many requests", function()
      local topic = service.topic(1)
      for number = 0, 19 do
        service.produce(topic, { { value = "v", timestamp = base + 10 * number } })
      end
      for number = 0, 19 do
        assert.equal(number, offset_at(base + 10 * number, topic, 0))
        assert.equal(number + 1, offset_at(base + 10 * number + 1, topic, 0))
      end
    end)

    it("at 0 are the first; far in the future, the end", function()
      local topic = stamped()
      assert.equal(0, offset_at("0", topic))
      assert.equal(6, offset_at("9007199254740993", topic))
      assert.equal(6, offset_at("9223372036854775807", topic))
    end)

    it("earliest and latest", function()
      local topic = stamped()
      assert.equal(0, offset_at("earliest", topic))
      assert.equal(6, offset_at("latest", topic))
      assert.equal(0, offset_at("earliest", topic, 0))
      assert.equal(0, offset_at("latest", topic, 0))
    end)

    it("of an empty partition are 0 at any time", function()
      assert.equal(0, offset_at(base, stamped(), 0))
    end)

    for _, method in ipairs { "GET", "POST" } do
      it(method .. " accepts several partitions of several topics", function()
        local topic, other = stamped(), service.topic(1)
        local body = service.json {
          { topic = topic, partition = 0 }, { topic = topic, partition = 1 },
          { topic = other, partition = 0 },
        }
        local found = {}
        local path = "/offsets/latest?timeout=5000"
        for _, each in ipairs(ok(service.request(method, path, { body = body }))) do
          found[service.place(each)] = each.offset
        end
        assert.same({ [topic .. "/0"] = 0, [topic .. "/1"] = 6, [other .. "/0"] = 0 }, found)
      end)
    end

    it("are [TopicPartitionOffset] and nothing more", function()
      local topic = service.topic(1)
      local body = service.json { topic = topic, partition = 0 }
      assert.same({ { topic = topic, partition = 0, offset = 0 } },
        ok(get("/offsets/latest", { body = body })))
    end)
  end)

  describe("GET /consumers", function()
    it("lists groups, instances, topics and partitions", function()
      local one, two, group = service.topic(1), service.topic(3), service.name "group"
      local topics = { one, two }
      service.join(group, "worker", topics, service.EARLIEST)
      local held = service.assignment(group).worker
      table.sort(held[two])
      assert.same({ [one] = { 0 }, [two] = { 0, 1, 2 } }, held)
    end)

    it("has exactly the documented fields", function()
      local topic, group = service.topic(1), service.name "group"
      service.join(group, "worker", topic)
      local found
      for _, each in ipairs(ok(get "/consumers")) do
        if each.name == group then found = each end
      end
      assert.same({ name = group, instances = {
        { name = "worker", topics = { { topic = topic, partitions = { 0 } } } },
      } }, found)
    end)

    it("omits a deleted instance", function()
      local topic, group = service.topic(1), service.name "group"
      service.join(group, "worker", topic)
      ok(service.post(("/delete-consumer/%s/worker"):format(group)))
      assert.same({}, service.assignment(group))
    end)
  end)

  it("a query without a body is a 400", function()
    refused(get "/offsets/latest", 400)
    refused(get "/committed/some/one", 400)
    refused(get "/fetch", 400)
  end)
end)
