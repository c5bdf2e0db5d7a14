-- for: place_text.c. D6, D7, D11: errors name what the caller gave, count as Lua does, and agree
-- with the list of topics.

local kafka = require "upstash.kafka"
local server_support = require "spec.support.server"

local BAD = 'a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got "fan-*"'

local unpack = table.unpack or unpack -- luacheck: compat

describe("D11: an error names the field as the caller gave it", function()
  local server, client, topic

  setup(function()
    server = server_support.start()
    client, topic = server:client { retries = 0 }, server:topic(1, 0)
    assert(client:consume("g", "i", topic))
  end)
  teardown(function()
    client:close()
    server:stop()
  end)

  local function place(name, offset) return { topic = name, partition = 0, offset = offset } end

  local rows = {
    { "consume", "g", "i", "fan-*", text = "topic: " .. BAD },
    { "consume", "g", "i", { "ok", "fan-*" }, text = "topics[2]: " .. BAD },
    { "produce_many", { { topic = "fan-*", value = "v" } }, text = "messages[1].topic: " .. BAD },
    { "offsets", "latest", { place "fan-*" }, text = "partitions[1].topic: " .. BAD },
    { "offsets", "latest", place "fan-*", text = "topic: " .. BAD },
    { "committed", "g", "i", { place "t", place "fan-*" }, text = "partitions[2].topic: " .. BAD },
    { "commit", "g", "i", { place("t", 1), place("t", 1), place("fan-*", 1) }, text = "offsets[3].topic: " .. BAD },
    { "fetch", { place("t", 0), place("fan-*", 0) }, text = "offsets[2].topic: " .. BAD },
    { "fetch", "fan-*", 0, 0, text = "topic: " .. BAD },
    { "create_topic", "fan-*", text = "topic: " .. BAD },
  }
  for number, row in ipairs(rows) do
    it(("%s (%d)"):format(row[1], number), function()
      local result, message, details = client[row[1]](client, unpack(row, 2))
      assert.same({ nil, row.text, 400 }, { result, message, details.status })
    end)
  end

  it("in a loop, too", function()
    for _, method in ipairs { "messages", "batches" } do
      local step, state = client[method](client, { group = "g", instance = "j", topic = "fan-*", from = "earliest" })
      local fine, failure = pcall(step, state)
      assert.same({ false, "topic: " .. BAD }, { fine, tostring(failure) })
      local options = { group = "g", instance = "j", topics = { "t", "fan-*" }, from = "earliest" }
      step, state = client[method](client, options)
      fine, failure = pcall(step, state)
      assert.same({ false, "topics[2]: " .. BAD }, { fine, tostring(failure) })
    end
  end)

  it("but changes no text that only looks like a place", function()
    local request = assert(client:prepare("produce_many", "t", { { value = "v" } }))
    local rows_of_text = {
      ["[10].headers[10].value: x"] = "messages[11].headers[11].value: x",
      ["[0]: x"] = "messages[1]: x", ["[9].headers[0].key: x [0]: y"] = "messages[10].headers[1].key: x [0]: y",
      ["topics[0]: x"] = "topics[1]: x", ["a [0]: x"] = "a [0]: x", ["[0] x"] = "[0] x", ["[]: x"] = "[]: x",
      ["[x]: y"] = "[x]: y", ["[12345678901]: y"] = "[12345678901]: y",
      ["[999999999]: x"] = "messages[1000000000]: x", ["[1000000000]: x"] = "[1000000000]: x",
      ["topicPartitionOffsets[4].topic: x"] = "messages[5].topic: x", ["a-b[0]: x"] = "a-b[0]: x",
      ["topic: x"] = "topic: x", ["[0"] = "[0",
      ["[0]"] = "[0]", [""] = "the request is malformed", [":"] = ":", ["[0]:"] = "messages[1]:",
    }
    for text, expected in pairs(rows_of_text) do
      local body = ('{"error":"%s","status":400}'):format(text)
      assert.equal(expected, (select(2, client:finish(request, 400, {}, body))))
    end
    local long = "[0]: " .. ("x"):rep(400)
    assert.equal("messages[1]: " .. ("x"):rep(400),
      (select(2, client:finish(request, 400, {}, ('{"error":"%s","status":400}'):format(long)))))
    local single = assert(client:prepare("produce", "t", "v"))
    assert.equal("headers[1].key: x",
      (select(2, client:finish(single, 400, {}, '{"error":"headers[0].key: x","status":400}'))))
    assert.equal("[1]: x", (select(2, client:finish(single, 400, {}, '{"error":"[0]: x","status":400}'))))
  end)
end)

describe("D6: a topic that does not exist", function()
  it("has one text in every call", function()
    local server = server_support.start { auto_create_topics = false }
    local client = server:client { retries = 0 }
    local place = { topic = "nope", partition = 0 }
    local at = { topic = "nope", partition = 0, offset = 0 }
    for _, row in ipairs {
      { "produce", "nope", "v" }, { "produce", "nope", "v", { partition = 5 } }, { "webhook", "nope", "v" },
      { "produce_many", "nope", { { value = "v" }, { value = "w" } } },
      { "produce_many", { { topic = "nope", value = "v" } } }, { "fetch", "nope", 0, 0 }, { "fetch", { at } },
      { "consume", "g", "i", "nope" }, { "consume", "g", "i", { "nope" } },
      { "offsets", "latest", place }, { "offsets", "earliest", { place } }, { "committed", "g", "i", place },
      { "delete_topic", "nope" },
    } do
      local result, message, details = client[row[1]](client, unpack(row, 2))
      assert.same({ nil, 'topic "nope" does not exist', "not_found" }, { result, message, details.code }, row[1])
    end
    client:close()
    server:stop()
  end)
end)

describe("D7: a produce to a partition that a new topic has not", function()
  it("says so, and creates nothing", function()
    local server = server_support.start { partitions = 3 }
    local client = kafka.new(server:access { retries = 0 })
    local _, message, details = client:produce("newtopic", "x", { partition = 5 })
    assert.equal('topic "newtopic" does not exist, and a new topic has no partition 5; it has 3', message)
    assert.equal(400, details.status)
    assert.is_nil(assert(client:topics()).newtopic)
    assert(client:produce("newtopic", "x", { partition = 2 }))
    _, message = client:produce("newtopic", "x", { partition = 5 })
    assert.equal('topic "newtopic" has no partition 5; it has 3', message)
    assert.equal(3, assert(client:topics()).newtopic)
    client:close()
    server:stop()
  end)
end)
