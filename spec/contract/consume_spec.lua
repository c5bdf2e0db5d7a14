-- Section 4 of the contract: consume, by one instance.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local get, post, ok, refused = service.get, service.post, service.ok, service.refused
local EARLIEST, MANUAL = service.EARLIEST, service.MANUAL

local function url(group, instance, topic)
  local path = ("/consume/%s/%s"):format(group, instance or "one")
  return topic and path .. "/" .. topic or path
end

-- A topic, and a group whose instance "one" holds its partitions.
local function joined(headers, partitions)
  local topic, group = service.topic(partitions or 1), service.name "group"
  service.join(group, "one", topic, headers or EARLIEST)
  return topic, group
end

local function sorted(values)
  table.sort(values)
  return values
end

describe("consume:", function()
  service.attach()

  describe("a request", function()
    it("GET /consume/$GROUP/$INSTANCE/$TOPIC", function()
      local topic, group = joined()
      service.fill(topic, 2)
      local messages = {}
      service.eventually(10, function()
        for _, message in ipairs(ok(get(url(group, "one", topic) .. "?timeout=5000"))) do
          table.insert(messages, message.value)
        end
        return #messages == 2
      end)
      assert.same({ "1", "2" }, messages)
    end)

    for _, method in ipairs { "GET", "POST" } do
      it(method .. " /consume/$GROUP/$INSTANCE with one topic", function()
        local topic, group = joined()
        service.produce(topic, "v")
        local body = service.json { topic = topic, timeout = 5000 }
        local messages = ok(service.request(method, url(group), { body = body }))
        assert.same({ "v" }, service.values(messages))
      end)

      it(method .. " /consume/$GROUP/$INSTANCE with several topics", function()
        local one, two, group = service.topic(1), service.topic(1), service.name "group"
        service.produce(one, "a")
        service.produce(two, "b")
        local body = service.json { topics = { one, two }, timeout = 1000 }
        local values = {}
        service.eventually(15, function()
          local response = service.request(method, url(group), { body = body, headers = EARLIEST })
          for _, message in ipairs(ok(response)) do table.insert(values, message.value) end
          return #values >= 2
        end)
        assert.same({ "a", "b" }, sorted(values))
      end)
    end

    it("may name both topic and topics", function()
      local one, two, group = service.topic(1), service.topic(1), service.name "group"
      local body = { topic = one, topics = { two }, timeout = 50 }
      service.eventually(15, function()
        ok(post(url(group), body, { headers = EARLIEST }))
        local held = service.assignment(group).one
        return held and held[one] and held[two]
      end)
    end)

    it("in an array of one means the same", function()
      local topic, group = joined()
      service.produce(topic, "v")
      local body = { { topic = topic, timeout = 5000 } }
      assert.same({ "v" }, service.values(ok(post(url(group), body))))
    end)
  end)

  it("returns complete messages, in partition order", function()
    local topic, group, stamp = service.topic(1), service.name "group", 1000 * math.floor(service.now())
    service.produce(topic, {
      { value = "a", key = "k", timestamp = stamp, headers = { { key = "h", value = "w" } } },
      { value = "b", timestamp = stamp + 1 },
    })
    assert.same({
      { topic = topic, partition = 0, offset = 0, timestamp = stamp, key = "k", value = "a",
        headers = { { key = "h", value = "w" } } },
      { topic = topic, partition = 0, offset = 1, timestamp = stamp + 1, key = "", value = "b",
        headers = {} },
    }, service.consume_all(group, "one", topic, 2, EARLIEST))
  end)

  describe("the timeout", function()
    it("bounds the wait for a message, in the query", function()
      local topic, group = joined()
      local response = get(url(group, "one", topic) .. "?timeout=1200") -- more than the default
      assert.same({}, ok(response))
      assert.is_truthy(response.body:find "^%s*%[")
      assert.is_true(response.seconds >= 1.18, response.seconds)
    end)

    it("bounds the wait for a message, in the body", function()
      local topic, group = joined()
      local response = post(url(group), { topic = topic, timeout = 1200 })
      assert.same({}, ok(response))
      assert.is_true(response.seconds >= 1.18, response.seconds)
    end)

    it("defaults to one second", function()
      local topic, group = joined()
      local response = get(url(group, "one", topic))
      assert.same({}, ok(response))
      assert.is_true(response.seconds >= 0.95, response.seconds)
    end)

    it("may be 0", function()
      local topic, group = joined()
      service.quickly(0.9, function()
        local response = get(url(group, "one", topic) .. "?timeout=0")
        assert.same({}, ok(response))
        return response
      end)
    end)

    it("is ignored when there are messages", function()
      local topic, group = joined()
      service.produce(topic, "v")
      assert.equal(1, #ok(get(url(group, "one", topic) .. "?timeout=120000")))
    end)

    it("ends early when a message arrives", function()
      local topic, group = joined()
      local path = url(group, "one", topic) .. "?timeout=120000"
      local pending = service.client:start("GET", path)
      service.sleep(0.2)
      service.produce(topic, "fresh")
      http.collect { pending }
      assert.same({ "fresh" }, service.values(ok(pending.response)))
    end)
  end)

  describe("positions", function()
    it("continue where the last consume ended", function()
      local topic, group = joined()
      service.produce(topic, "a")
      assert.same({ "a" }, service.values(service.consume_all(group, "one", topic, 1)))
      service.produce(topic, "b")
      assert.same({ "b" }, service.values(service.consume_all(group, "one", topic, 1)))
      assert.same({}, service.consume(group, "one", topic))
    end)

    it("belong to one group each", function()
      local topic = service.topic(1)
      service.fill(topic, 3)
      for _ = 1, 2 do
        local messages = service.consume_all(service.name "group", "one", topic, 3, EARLIEST)
        assert.same({ "1", "2", "3" }, service.values(messages))
      end
    end)

    it("skip nothing over many responses", function()
      local topic, group = service.topic(3), service.name "group"
      local seen, total = {}, 0
      for partition = 0, 2 do service.fill(topic, 700, partition) end
      for _, message in ipairs(service.consume_all(group, "one", topic, 2100, EARLIEST)) do
        local last = seen[message.partition] or -1
        assert.equal(last + 1, message.offset)
        seen[message.partition] = message.offset
        total = total + 1
      end
      assert.equal(2100, total)
    end)

    it("start at the committed offset when the instance is created again", function()
      local topic, group = service.topic(1), service.name "group"
      service.fill(topic, 4)
      service.consume_all(group, "one", topic, 4, MANUAL)
      ok(post(("/commit/%s/one"):format(group), { topic = topic, partition = 0, offset = 2 }))
      ok(post(("/delete-consumer/%s/one"):format(group)))
      local again = service.consume_all(group, "one", topic, 2, MANUAL)
      assert.same({ "3", "4" }, service.values(again))
    end)
  end)

  describe("the reset policy", function()
    it("is latest by default: only later messages", function()
      local topic, group = service.topic(1), service.name "group"
      service.produce(topic, "old")
      service.join(group, "one", topic)
      local values = {}
      service.eventually(15, function() -- an engine may find the end shortly after the join
        service.produce(topic, "new")
        for _, message in ipairs(service.consume(group, "one", topic, nil, 500)) do
          table.insert(values, message.value)
        end
        return #values > 0
      end)
      for _, value in ipairs(values) do assert.equal("new", value) end
    end)

    it("latest, given explicitly, is the same", function()
      local topic, group = service.topic(1), service.name "group"
      service.produce(topic, "old")
      local headers = { ["Kafka-Auto-Offset-Reset"] = "latest" }
      local messages = service.join(group, "one", topic, headers)
      assert.same({}, messages)
      assert.same({}, service.consume(group, "one", topic, headers))
    end)

    it("earliest: from the first message", function()
      local topic, group = service.topic(1), service.name "group"
      service.fill(topic, 3)
      local messages = service.consume_all(group, "one", topic, 3, EARLIEST)
      assert.same({ "1", "2", "3" }, service.values(messages))
    end)

    it("none, without a committed offset, is a 400 that says so", function()
      local topic, group, response = service.topic(1), service.name "group", nil
      service.produce(topic, "v")
      local headers = { ["Kafka-Auto-Offset-Reset"] = "none" }
      service.eventually(15, function()
        response = post(url(group), { topic = topic, timeout = 500 }, { headers = headers })
        return response.status ~= 200
      end)
      local said = refused(response, 400)
      local text = "no committed offset for topic %q partition 0, and the auto offset reset is none"
      assert.equal(text:format(topic), said)
    end)

    it("B12: none, with a committed offset that is out of range, is a 400 that names both", function()
      local topic, group = service.topic(1), service.name "group"
      service.fill(topic, 3)
      service.join(group, "one", topic, MANUAL)
      ok(post(("/commit/%s/one"):format(group), { topic = topic, partition = 0, offset = 50 }))
      ok(post(("/delete-consumer/%s/one"):format(group)))
      local headers, response = { ["Kafka-Auto-Offset-Reset"] = "none" }, nil
      service.eventually(15, function()
        response = post(url(group, "two"), { topic = topic, timeout = 500 }, { headers = headers })
        return response.status ~= 200
      end)
      local text = "the committed offset 50 of topic %q partition 0 is out of range 0 to 3, " ..
        "and the auto offset reset is none"
      assert.equal(text:format(topic), refused(response, 400))
    end)

    it("none starts at the committed offset", function()
      local topic, group = service.topic(1), service.name "group"
      service.fill(topic, 3)
      service.join(group, "one", topic, MANUAL)
      ok(post(("/commit/%s/one"):format(group), { topic = topic, partition = 0, offset = 1 }))
      ok(post(("/delete-consumer/%s/one"):format(group)))
      local headers = { ["Kafka-Auto-Offset-Reset"] = "none" }
      local messages = service.consume_all(group, "two", topic, 2, headers)
      assert.same({ "2", "3" }, service.values(messages))
    end)

    it("takes effect when the instance is created, not later", function()
      local topic, group = joined(MANUAL)
      service.fill(topic, 2)
      local headers = { ["Kafka-Auto-Offset-Reset"] = "latest" }
      local messages = service.consume_all(group, "one", topic, 2, headers)
      assert.same({ "1", "2" }, service.values(messages))
    end)
  end)

  describe("auto-commit", function()
    local function quick()
      return {
        ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Auto-Commit-Interval"] = 100,
        ["Kafka-Session-Timeout-Ms"] = service.session_timeout,
      }
    end

    it("commits what an earlier response delivered", function()
      local topic, group = service.topic(1), service.name "group"
      service.fill(topic, 3)
      service.consume_all(group, "one", topic, 3, quick())
      service.eventually(10, function()
        service.consume(group, "one", topic, quick(), 50)
        return service.committed(group, topic) == 3
      end)
    end)

    it("never commits what the current response carries", function()
      local topic, group = service.topic(1), service.name "group"
      service.join(group, "one", topic, quick())
      service.fill(topic, 3)
      local messages = service.consume(group, "one", topic, quick(), 5000)
      assert.is_true(#messages > 0)
      for _ = 1, 5 do
        service.sleep(0.1)
        assert.is_true(service.committed(group, topic) <= 0)
      end
    end)

    it("redelivers a batch whose consumer died before acknowledging it", function()
      local topic, group = service.topic(1), service.name "group"
      service.fill(topic, 3)
      service.join(group, "one", topic, quick())
      service.consume(group, "one", topic, quick(), 200)
      service.produce(topic, "pending")
      assert.is_true(#service.consume(group, "one", topic, quick(), 5000) > 0)
      local values = {}
      service.eventually(10 + 2 * service.session_timeout / 1000, function()
        local response = post(url(group, "two"), { topic = topic, timeout = 200 },
          { headers = EARLIEST })
        if response.status == 429 then return false, "the first instance still lives" end
        for _, message in ipairs(ok(response)) do values[message.value] = true end
        return values["pending"], "not delivered again"
      end)
    end)

    it("waits for its interval", function()
      local topic, group = service.topic(1), service.name "group"
      local headers = quick()
      headers["Kafka-Auto-Commit-Interval"] = 600000
      headers["Kafka-Session-Timeout-Ms"] = 600000 -- an instance commits when its session ends
      service.fill(topic, 3)
      service.consume_all(group, "one", topic, 3, headers)
      for _ = 1, 4 do service.consume(group, "one", topic, headers, 50) end
      assert.equal(-1, service.committed(group, topic))
    end)

    it("can be switched off", function()
      local topic, group, headers = service.topic(1), service.name "group", quick()
      headers["Kafka-Enable-Auto-Commit"] = "false"
      service.fill(topic, 3)
      service.consume_all(group, "one", topic, 3, headers)
      for _ = 1, 4 do service.consume(group, "one", topic, headers, 100) end
      assert.equal(-1, service.committed(group, topic))
    end)

    it("can be requested explicitly", function()
      local topic, group, headers = service.topic(1), service.name "group", quick()
      headers["Kafka-Enable-Auto-Commit"] = "true"
      service.fill(topic, 1)
      service.consume_all(group, "one", topic, 1, headers)
      service.eventually(10, function()
        service.consume(group, "one", topic, headers, 50)
        return service.committed(group, topic) == 1
      end)
    end)
  end)

  describe("other topics", function()
    it("change the subscription", function()
      local one, two, group = service.topic(1), service.topic(1), service.name "group"
      service.join(group, "one", one, EARLIEST)
      service.produce(one, "of one")
      service.produce(two, "of two")
      local messages = service.consume_all(group, "one", two, 1, EARLIEST)
      assert.same({ "of two" }, service.values(messages))
      service.eventually(10, function()
        service.consume(group, "one", two, EARLIEST, 50)
        local held = service.assignment(group).one
        return held and held[two] and not held[one]
      end)
    end)

    it("may be added", function()
      local one, two, group = service.topic(1), service.topic(1), service.name "group"
      service.join(group, "one", one, MANUAL)
      service.produce(two, "of two")
      service.consume_all(group, "one", { one, two }, 1, MANUAL)
      service.produce(one, "of one")
      local messages = service.consume_all(group, "one", { one, two }, 1, MANUAL)
      assert.equal("of one", messages[#messages].value)
    end)

    it("may be dropped from the end of the list", function()
      local one, two, group = service.topic(1), service.topic(1), service.name "group"
      local function consume_until(topics, holds)
        service.eventually(15, function()
          service.consume(group, "one", topics, EARLIEST, 50)
          return holds(service.assignment(group).one or {})
        end)
      end
      consume_until({ one, two }, function(held) return held[one] and held[two] end)
      consume_until({ one }, function(held) return held[one] and not held[two] end)
      service.produce(two, "of two")
      service.produce(one, "of one")
      local messages = service.consume_all(group, "one", { one }, 1, EARLIEST)
      assert.same({ "of one" }, service.values(messages))
    end)
  end)

  describe("two consumes of one instance at once", function()
    it("run one after the other, each within its own timeout", function()
      local topic, group = joined()
      local function start(timeout)
        return service.start("GET", url(group, "one", topic) .. "?timeout=" .. timeout)
      end
      local long = start(120000)
      service.sleep(0.1)
      local short = start(300)
      http.collect { short }
      assert.same({}, ok(service.response(short)))
      service.produce(topic, "for the first")
      http.collect { long }
      assert.same({ "for the first" }, service.values(ok(long.response)))
    end)

    it("are both served", function()
      local topic, group = joined()
      local pendings, values = {}, {}
      for index = 1, 3 do
        pendings[index] = service.client:start("GET", url(group, "one", topic) .. "?timeout=120000")
        service.sleep(0.05)
      end
      for index = 1, 3 do
        service.produce(topic, tostring(index))
        http.collect(pendings, nil, index)
      end
      for _, pending in ipairs(pendings) do
        for _, message in ipairs(ok(pending.response)) do table.insert(values, message.value) end
      end
      assert.same({ "1", "2", "3" }, sorted(values))
    end)

    it("share the messages, with no duplicates", function()
      local topic, group = joined()
      local pendings, seen = {}, {}
      for index = 1, 2 do
        local path = url(group, "one", topic) .. "?timeout=120000"
        pendings[index] = service.client:start("GET", path)
      end
      service.sleep(0.1)
      service.produce(topic, "first")
      http.collect(pendings, nil, 1)
      service.produce(topic, "second")
      http.collect(pendings)
      for _, pending in ipairs(pendings) do
        for _, message in ipairs(ok(pending.response)) do
          assert.is_nil(seen[message.offset])
          seen[message.offset] = true
        end
      end
      for _, message in ipairs(service.consume(group, "one", topic)) do
        assert.is_nil(seen[message.offset])
        seen[message.offset] = true
      end
      assert.is_true(seen[0] and seen[1])
    end)
  end)

  it("one produce answers 200 waiting consumes", function()
    local topic, total, pendings = service.topic(1), 200, {}
    local stem = service.name "crowd"
    for index = 1, total do
      local path = url(stem .. index, "one", topic) .. "?timeout=120000"
      pendings[index] = service.client:start("GET", path, { headers = EARLIEST })
    end
    service.sleep(0.3)
    service.produce(topic, "to all")
    http.collect(pendings, 110)
    for _, pending in ipairs(pendings) do
      assert.same({ "to all" }, service.values(ok(pending.response)))
    end
    for index = 1, total do post(("/delete-consumer/%s%d/one"):format(stem, index)) end
  end)

  it("a client that disconnects while it waits does no harm", function()
    local topic, group = joined(MANUAL)
    local pending = service.client:start("GET", url(group, "one", topic) .. "?timeout=60000")
    service.sleep(0.1)
    pending.connection:close()
    service.produce(topic, "v")
    local messages = {}
    service.eventually(15, function()
      for _, message in ipairs(service.consume(group, "one", topic, MANUAL, 200)) do
        table.insert(messages, message)
      end
      if #messages == 0 then -- the one that had gone took it: a new instance gets it again
        post(("/delete-consumer/%s/one"):format(group))
      end
      return #messages > 0
    end)
    assert.equal("v", messages[1].value)
  end)

  describe("B7: a topic that does not exist", function()
    local function partitions_of(topic)
      return ok(get "/topics")[topic]
    end

    -- A pending consume that has created its topic.
    local function waiting(group, instance, topic, headers)
      local path = url(group, instance, topic) .. "?timeout=30000"
      local pending = service.client:start("GET", path, { headers = headers })
      service.eventually(15, function() return partitions_of(topic) end)
      return pending
    end

    for what, headers in pairs {
      ["latest"] = {}, ["earliest"] = EARLIEST,
      ["latest without auto-commit"] = { ["Kafka-Enable-Auto-Commit"] = "false" },
    } do
      it("is created, and the consume waits for its first message, with " .. what, function()
        local topic, group = service.name "fresh", service.name "group"
        local pending = waiting(group, "one", topic, headers)
        service.produce(topic, "first")
        http.collect({ pending }, 40)
        local messages = ok(pending.response)
        assert.same({ "first" }, service.values(messages))
        assert.equal(0, messages[1].offset)
      end)
    end

    it("has as many partitions as a topic created by a produce", function()
      local consumed, produced = service.name "fresh", service.name "fresh"
      assert.same({}, ok(get(url(service.name "group", "one", consumed) .. "?timeout=0")))
      ok(get(("/produce/%s/v"):format(produced)))
      service.eventually(10, function() return partitions_of(consumed) and partitions_of(produced) end)
      assert.equal(partitions_of(produced), partitions_of(consumed))
    end)

    it("is created for a live instance", function()
      local _, group = joined()
      local topic = service.name "fresh"
      ok(get(url(group, "one", topic) .. "?timeout=0"))
      service.eventually(10, function() return partitions_of(topic) end)
      service.eventually(15, function()
        ok(get(url(group, "one", topic) .. "?timeout=50"))
        return (service.assignment(group).one or {})[topic]
      end)
    end)

    it("is created next to existing topics", function()
      local topic, fresh, other = service.topic(1), service.name "fresh", service.name "fresh"
      local group = service.name "group"
      service.consume(group, "one", { fresh, topic, other }, EARLIEST, 0)
      for _, name in ipairs { fresh, topic, other } do service.produce(name, name) end
      local values = service.values(service.consume_all(group, "one", { fresh, topic, other }, 3, EARLIEST))
      assert.same(sorted { fresh, topic, other }, sorted(values))
    end)

    it("is not created next to an invalid name", function()
      local fresh = service.name "fresh"
      local body = { topics = { fresh, "a b" }, timeout = 0 }
      refused(post(url(service.name "group"), body), 400, "topics[1]")
      assert.is_nil(partitions_of(fresh))
    end)

    it("is not created by a fetch, offsets, committed or a commit", function()
      local fresh, group = service.name "fresh", service.name "group"
      refused(post("/fetch", { topic = fresh, partition = 0, offset = 0, timeout = 10 }), 404, fresh)
      refused(post("/offsets/latest", { topic = fresh, partition = 0 }), 404, fresh)
      refused(post(("/committed/%s/one"):format(group), { topic = fresh, partition = 0 }), 404, fresh)
      refused(post(("/commit/%s/one"):format(group), { topic = fresh, partition = 0, offset = 0 }), 404)
      assert.is_nil(partitions_of(fresh))
    end)

    it("is created once by concurrent requests", function()
      local topic, pending = service.name "fresh", {}
      for number = 1, 4 do
        local path = url(service.name "group", "one", topic) .. "?timeout=30000"
        pending[number] = service.client:start("GET", path, { headers = EARLIEST })
      end
      local produced = service.client:start("GET", ("/produce/%s/v"):format(topic))
      table.insert(pending, produced)
      http.collect(pending, 40)
      assert.equal(0, ok(table.remove(pending).response).offset)
      for _, each in ipairs(pending) do
        local messages = ok(each.response)
        assert.same({ "v" }, service.values(messages))
        assert.equal(0, messages[1].offset)
      end
    end)
  end)
end)
