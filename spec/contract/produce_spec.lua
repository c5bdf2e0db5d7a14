-- Sections 2 and 3 of the contract: produce.

local service = require "spec.contract.service"

local get, post, ok, refused = service.get, service.post, service.ok, service.refused

-- Kafka's murmur2 of some keys, from the tests of the Java client.
local MURMUR2 = {
  ["21"] = -973932308,
  ["foobar"] = -790332482,
  ["abc"] = 479470107,
  ["a-little-bit-long-string"] = -985981536,
  ["a-little-bit-longer-string"] = -1486304829,
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"] = -58897971,
}

local function partition_of(key, partitions)
  return MURMUR2[key] % 2 ^ 31 % partitions -- the hash without its sign bit
end

local function is_metadata(value, topic)
  local names = {}
  for name in pairs(value) do table.insert(names, name) end
  table.sort(names)
  assert.same({ "offset", "partition", "timestamp", "topic" }, names)
  assert.equal(topic, value.topic)
end

local function milliseconds()
  return math.floor(service.now() * 1000)
end

describe("produce:", function()
  service.attach()

  describe("GET /produce/$TOPIC/$MESSAGE", function()
    it("returns one Metadata object", function()
      local topic = service.topic(1)
      local metadata = ok(get(("/produce/%s/hello_kafka"):format(topic)))
      is_metadata(metadata, topic)
      assert.equal(0, metadata.partition)
      assert.equal(0, metadata.offset)
    end)

    it("stores the message without a key", function()
      local topic = service.topic(1)
      ok(get(("/produce/%s/hello_kafka"):format(topic)))
      local message = service.fetch_all(topic, 0, 1)[1]
      assert.equal("hello_kafka", message.value)
      assert.equal("", message.key)
      assert.same({}, message.headers)
    end)

    it("stores the message with its key, in the key's partition", function()
      local topic = service.topic(5)
      local metadata = ok(get(("/produce/%s/Istanbul?key=foobar"):format(topic)))
      assert.equal(partition_of("foobar", 5), metadata.partition)
      local message = service.fetch_all(topic, metadata.partition, 1)[1]
      assert.equal("Istanbul", message.value)
      assert.equal("foobar", message.key)
    end)
  end)

  for _, method in ipairs { "GET", "POST" } do
    describe(method .. " /produce/$TOPIC", function()
      local function send(topic, body)
        return ok(service.request(method, "/produce/" .. topic, { body = service.json(body) }))
      end

      it("answers an array for one message", function()
        local topic = service.topic(1)
        local metadata = send(topic, { value = "one" })
        assert.equal(1, #metadata)
        is_metadata(metadata[1], topic)
      end)

      it("treats an array of one alike", function()
        local topic = service.topic(1)
        assert.equal(0, send(topic, { { value = "one" } })[1].offset)
        assert.equal(1, send(topic, { value = "one" })[1].offset)
        assert.same({ "one", "one" }, service.values(service.fetch_all(topic, 0, 2)))
      end)

      it("responds in the order of the request", function()
        local topic = service.topic(3)
        local metadata = send(topic, {
          { value = "a", partition = 2 }, { value = "b", partition = 0 },
          { value = "c", partition = 2 }, { value = "d", partition = 1 },
        })
        local places = {}
        for index, each in ipairs(metadata) do
          is_metadata(each, topic)
          places[index] = { each.partition, each.offset }
        end
        assert.same({ { 2, 0 }, { 0, 0 }, { 2, 1 }, { 1, 0 } }, places)
        assert.same({ "a", "c" }, service.values(service.fetch_all(topic, 2, 2)))
      end)
    end)

    describe(method .. " /produce", function()
      it("accepts messages for several topics", function()
        local one, two = service.topic(1), service.topic(2)
        local metadata = ok(service.request(method, "/produce", { body = service.json {
          { topic = two, partition = 1, value = "a" },
          { topic = one, value = "b" },
          { topic = two, partition = 1, value = "c" },
        } }))
        is_metadata(metadata[1], two)
        is_metadata(metadata[2], one)
        is_metadata(metadata[3], two)
        assert.same({ "a", "c" }, service.values(service.fetch_all(two, 1, 2)))
        assert.same({ "b" }, service.values(service.fetch_all(one, 0, 1)))
      end)

      it("answers an array for one message", function()
        local topic = service.topic(1)
        local body = service.json { topic = topic, value = "v" }
        local metadata = ok(service.request(method, "/produce", { body = body }))
        assert.equal(1, #metadata)
        is_metadata(metadata[1], topic)
      end)
    end)
  end

  describe("a message", function()
    it("keeps every field", function()
      local topic, stamp = service.topic(2), milliseconds() - 5000
      service.produce(topic, { {
        partition = 1, timestamp = stamp, key = "city", value = "Istanbul",
        headers = { { key = "expire", value = "1637745834756" } },
      } })
      assert.same({
        topic = topic, partition = 1, offset = 0, timestamp = stamp, key = "city",
        value = "Istanbul", headers = { { key = "expire", value = "1637745834756" } },
      }, service.fetch_all(topic, 1, 1)[1])
    end)

    it("keeps the order of headers and repeated keys", function()
      local topic = service.topic(1)
      local headers = {
        { key = "z", value = "1" }, { key = "a", value = "2" }, { key = "z", value = "3" },
        { key = "empty", value = "" }, { key = "", value = "nameless" }, { key = "é", value = "€" },
      }
      service.produce(topic, { { value = "v", headers = headers } })
      assert.same(headers, service.fetch_all(topic, 0, 1)[1].headers)
    end)

    it("may be empty", function()
      local topic = service.topic(1)
      service.produce(topic, { { value = "" } })
      local response = post("/fetch", { topic = topic, partition = 0, offset = 0 })
      assert.equal("", ok(response)[1].value)
    end)

    it("may be large", function()
      local topic, value = service.topic(1), ("0123456789abcdef"):rep(40000)
      service.produce(topic, { { value = value } })
      assert.is_true(service.fetch_all(topic, 0, 1)[1].value == value)
    end)
  end)

  describe("a timestamp", function()
    it("defaults to the server's clock", function()
      local topic, before = service.topic(1), milliseconds()
      local metadata = service.produce(topic, "v")[1]
      assert.is_true(math.abs(metadata.timestamp - before) < 60000)
      assert.equal(metadata.timestamp, service.fetch_all(topic, 0, 1)[1].timestamp)
    end)

    it("is returned as given", function()
      local topic, stamp = service.topic(1), milliseconds() - 123456
      assert.equal(stamp, service.produce(topic, { { value = "v", timestamp = stamp } })[1].timestamp)
    end)
  end)

  describe("a partition", function()
    for _, partitions in ipairs { 2, 3, 7, 12 } do
      it(("of %d is chosen by the murmur2 of the key"):format(partitions), function()
        local topic = service.topic(partitions)
        for key in pairs(MURMUR2) do
          local metadata = service.produce(topic, { { value = "v", key = key } })[1]
          assert.equal(partition_of(key, partitions), metadata.partition, key)
        end
      end)
    end

    it("that is given takes precedence over the key", function()
      local topic = service.topic(3)
      for partition = 0, 2 do
        local message = { value = "v", key = "21", partition = partition }
        assert.equal(partition, service.produce(topic, { message })[1].partition)
      end
    end)

    it("varies for messages without a key", function()
      local topic, seen = service.topic(3), {}
      service.eventually(10, function()
        for _ = 1, 10 do seen[ok(get(("/produce/%s/v"):format(topic))).partition] = true end
        return seen[0] and seen[1] and seen[2]
      end)
    end)
  end)

  it("assigns offsets from 0, without gaps", function()
    local topic = service.topic(1)
    for offset = 0, 4 do assert.equal(offset, service.produce(topic, "v")[1].offset) end
    assert.equal(5, service.fill(topic, 10)[1].offset)
    assert.equal(15, service.end_offset(topic))
  end)

  it("can be read as soon as it is acknowledged", function()
    local topic = service.topic(1)
    for offset = 0, 9 do
      service.produce(topic, tostring(offset))
      local messages = service.fetch(topic, 0, offset, 5000)
      assert.equal(tostring(offset), messages[1].value)
    end
  end)

  it("accepts a thousand messages in one request", function()
    local topic = service.topic(1)
    local metadata = service.fill(topic, 1000)
    for index, each in ipairs(metadata) do assert.equal(index - 1, each.offset) end
    for index, message in ipairs(service.fetch_all(topic, 0, 1000)) do
      assert.equal(tostring(index), message.value)
    end
  end)

  it("stores nothing from a request with one malformed message", function()
    local topic = service.topic(1)
    refused(post("/produce/" .. topic, '[{"value":"good"},{"value":"bad","partition":0.5}]'), 400)
    assert.equal(0, service.end_offset(topic))
  end)

  it("D7: creates no topic for a request that names a partition which it would not have", function()
    local new = service.name "new"
    local text = ('topic "%s" does not exist, and a new topic has no partition 999; it has '):format(new)
    local alone = refused(post("/produce/" .. new, '{"value":"v","partition":999}'), 400)
    assert.equal(text, alone:sub(1, #text))
    local second = refused(post("/produce/" .. new, '[{"value":"v"},{"value":"v","partition":999}]'), 400)
    assert.equal("[1]: " .. text, second:sub(1, #text + 5))
    assert.is_nil(ok(service.get "/topics")[new])
    assert.equal(0, ok(post("/produce/" .. new, '{"value":"v","partition":0}'))[1].offset)
    local now = refused(post("/produce/" .. new, '{"value":"v","partition":999}'), 400)
    assert.truthy(now:find(('topic "%s" has no partition 999; it has '):format(new), 1, true), now)
  end)

  it("stores every message of concurrent requests", function()
    local http = require "spec.support.http"
    local topic, pendings, seen = service.topic(1), {}, {}
    for number = 1, 50 do
      pendings[number] = service.client:start("GET", ("/produce/%s/%d"):format(topic, number))
    end
    http.collect(pendings)
    for number, pending in ipairs(pendings) do
      local offset = ok(pending.response).offset
      assert.is_nil(seen[offset])
      seen[offset] = tostring(number)
    end
    for offset, message in ipairs(service.fetch_all(topic, 0, 50)) do
      assert.equal(seen[offset - 1], message.value)
    end
  end)
end)
