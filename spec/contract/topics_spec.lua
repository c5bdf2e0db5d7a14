-- Section 8 of the contract: creating and deleting topics.

local endpoints = require "spec.contract.endpoints"
local service = require "spec.contract.service"

local get, post, ok, refused = service.get, service.post, service.ok, service.refused

local function create(topic, body)
  local response = post("/topics/" .. topic, body)
  assert.equal(201, response.status, response.body)
  return service.decode(response)
end

local function partitions_of(topic)
  return ok(get "/topics")[topic]
end

describe("topics:", function()
  service.attach()

  it("are created with the requested partitions", function()
    local topic = service.name "topic"
    assert.same({ topic = topic, partitions = 3 }, create(topic, { partitions = 3 }))
    service.eventually(10, function() return partitions_of(topic) == 3 end)
  end)

  for what, body in pairs { ["without a body"] = false, ["with an empty object"] = "{}" } do
    it("are created " .. what, function()
      local topic = service.name "topic"
      local made = create(topic, body or nil)
      assert.is_true(made.partitions >= 1)
      service.eventually(10, function() return partitions_of(topic) == made.partitions end)
    end)
  end

  it("accept retention settings", function()
    local topic = service.name "topic"
    create(topic, { partitions = 1, retention_ms = 86400000, retention_bytes = 10 ^ 9 })
    service.eventually(10, function() return partitions_of(topic) end)
    service.produce(topic, "kept")
    assert.same({ "kept" }, service.values(service.fetch_all(topic, 0, 1)))
  end)

  it("accept the request in an array of one", function()
    local topic = service.name "topic"
    assert.equal(2, create(topic, { { partitions = 2 } }).partitions)
  end)

  it("created again with the same settings are unchanged", function()
    local topic = service.topic(2)
    service.fill(topic, 1)
    local again = ok(post("/topics/" .. topic, { partitions = 2 }))
    assert.same({ topic = topic, partitions = 2 }, again)
    assert.equal(1, service.end_offset(topic))
  end)

  it("created again with other partitions are a 409 and unchanged", function()
    local topic = service.topic(2)
    refused(post("/topics/" .. topic, { partitions = 3 }), 409)
    assert.equal(2, partitions_of(topic))
  end)

  describe("created again with", function()
    local settings = { partitions = 1, retention_ms = 86400000, retention_bytes = 10 ^ 9 }
    local topic

    before_each(function()
      topic = service.name "topic"
      create(topic, settings)
      service.eventually(10, function() return partitions_of(topic) end)
    end)

    it("the same retention are unchanged", function()
      assert.same({ topic = topic, partitions = 1 }, ok(post("/topics/" .. topic, settings)))
      ok(post("/topics/" .. topic, { retention_bytes = 10 ^ 9 }))
      ok(post("/topics/" .. topic, {}))
    end)

    for name, value in pairs { partitions = 2, retention_ms = 86400001, retention_bytes = -1 } do
      it(("a different %s are a 409 that names both"):format(name), function()
        local text = refused(post("/topics/" .. topic, { [name] = value }), 409)
        assert.equal(("topic %q exists with %s %d, not %d"):format(topic, name, settings[name], value), text)
      end)
    end
  end)

  it("start at offset 0", function()
    local topic = service.topic(1)
    assert.equal(0, service.end_offset(topic))
    assert.equal(0, service.produce(topic, "first")[1].offset)
  end)

  it("are created by the first produce, by the embedded engine", function()
    local topic = service.name "topic"
    local response = get(("/produce/%s/first"):format(topic))
    if ok(get "/health").engine == "log" or response.status == 200 then
      assert.equal(topic, ok(response).topic)
      assert.is_truthy(partitions_of(topic))
    else
      refused(response, 404)
    end
  end)

  describe("A4: internal to Kafka or the server", function()
    local internal = {
      "__consumer_offsets", "__transaction_state", "__share_group_state", "__remote_log_metadata",
      "__cluster_metadata", "__upstash_kafka_", "__upstash_kafka_keys",
    }

    for _, endpoint in ipairs(endpoints) do
      local template = table.concat { endpoint.path, endpoint.query, endpoint.body or "" }
      if template:find "{topic}" or template:find "{fresh}" then
        it("do not exist for " .. endpoint.name, function()
          local fill, names = endpoints.scene(endpoint.live)
          for index, name in ipairs(internal) do
            local method = endpoint.methods[index % #endpoint.methods + 1]
            names.topic, names.fresh = name, name
            local path, body = fill(endpoint.path .. endpoint.query), fill(endpoint.body)
            local text = refused(service.request(method, path, { body = body }), 404)
            assert.equal(("topic %q does not exist"):format(name), text)
          end
        end)
      end
    end

    it("do not exist among others", function()
      local topic, group = service.topic(1), service.name "group"
      local hidden = internal[1]
      local positions = {
        { topic = topic, partition = 0, offset = 0 }, { topic = hidden, partition = 0, offset = 0 },
      }
      local messages = { { topic = topic, value = "v" }, { topic = hidden, value = "v" } }
      refused(post("/produce", messages), 404, hidden)
      refused(post("/fetch", { topicPartitionOffsets = positions, timeout = 10 }), 404, hidden)
      refused(post(("/consume/%s/one"):format(group), { topics = { topic, hidden }, timeout = 10 }), 404, hidden)
      assert.equal(0, service.end_offset(topic))
    end)

    it("are not listed", function()
      local topics = ok(get "/topics")
      for _, name in ipairs(internal) do assert.is_nil(topics[name]) end
    end)

    it("are exactly these", function()
      for _, stem in ipairs { "__consumer_offsets_", "_upstash_kafka_", "__upstash_kafka" } do
        local topic = stem .. service.name "x"
        create(topic, {})
        service.eventually(10, function() return partitions_of(topic) end)
      end
    end)
  end)

  it("that do not exist get the same error text everywhere", function()
    local topic = service.name "nowhere"
    local text = ("topic %q does not exist"):format(topic)
    local partition = { topic = topic, partition = 0 }
    local position = { topic = topic, partition = 0, offset = 0, timeout = 10 }
    local fill = endpoints.scene(true)
    assert.equal(text, refused(post("/fetch", position), 404))
    assert.equal(text, refused(post("/offsets/latest", partition), 404))
    assert.equal(text, refused(post(fill "/committed/{group}/{instance}", partition), 404))
    position.timeout = nil
    assert.equal(text, refused(post(fill "/commit/{group}/{instance}", position), 404))
    assert.equal(text, refused(service.delete("/topics/" .. topic), 404))
  end)

  describe("deletion", function()
    local function delete(topic)
      return service.delete("/topics/" .. topic)
    end

    it("succeeds, and the topic is gone", function()
      local topic = service.topic(1)
      service.fill(topic, 2)
      assert.same({ result = "Success", status = 200 }, ok(delete(topic)))
      service.eventually(10, function() return not partitions_of(topic) end)
      local position = { topic = topic, partition = 0, offset = 0, timeout = 50 }
      refused(post("/fetch", position), 404)
      refused(post("/offsets/latest", { topic = topic, partition = 0 }), 404)
    end)

    it("of a topic that does not exist is a 404", function()
      refused(delete(service.name "nowhere"), 404)
      local topic = service.topic(1)
      ok(delete(topic))
      service.eventually(10, function() return not partitions_of(topic) end)
      refused(delete(topic), 404)
    end)

    it("leaves nothing for a later topic of the same name", function()
      local topic, group = service.topic(2), service.name "group"
      service.fill(topic, 3)
      service.join(group, "one", topic, service.MANUAL)
      ok(post(("/commit/%s/one"):format(group), { topic = topic, partition = 0, offset = 3 }))
      ok(post(("/delete-consumer/%s/one"):format(group)))
      ok(delete(topic))
      service.eventually(10, function() return not partitions_of(topic) end)
      service.eventually(10, function()
        return post("/topics/" .. topic, { partitions = 1 }).status == 201
      end)
      service.eventually(10, function() return partitions_of(topic) == 1 end)
      assert.equal(0, service.end_offset(topic))
      assert.equal(-1, service.committed(group, topic))
      service.produce(topic, "new")
      local messages = service.consume_all(group, "one", topic, 1, service.MANUAL)
      assert.same({ "new" }, service.values(messages))
    end)

    it("leaves other topics alone", function()
      local topic, other = service.topic(1), service.topic(1)
      service.fill(other, 2)
      ok(delete(topic))
      assert.same({ "1", "2" }, service.values(service.fetch_all(other, 0, 2)))
    end)

    it("ends a waiting consume without harm to the server", function()
      local http = require "spec.support.http"
      local topic, group = service.topic(1), service.name "group"
      service.join(group, "one", topic, service.EARLIEST)
      local path = ("/consume/%s/one/%s?timeout=1500"):format(group, topic)
      local pending = service.client:start("GET", path)
      service.sleep(0.1)
      ok(delete(topic))
      http.collect { pending }
      if pending.response.status ~= 200 then
        refused(pending.response, { 404, 503, 504 }) -- the last two while Kafka is busy
      else
        assert.same({}, ok(pending.response))
      end
      ok(get "/topics")
    end)
  end)
end)
