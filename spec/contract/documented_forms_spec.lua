-- Every form of request in the hosted service's documentation, as curl and its JavaScript client
-- sent it: trailing commas, trailing slashes, JSON labelled as a form, GET with a body.

local gzip = require "spec.contract.gzip"
local service = require "spec.contract.service"

local ok = service.ok

local CURL = { ["User-Agent"] = "curl/7.88.1", Accept = "*/*" }
local FORM = "application/x-www-form-urlencoded"

local topics -- greetings, cities, words: the documentation's names, made unique

local function merged(one, two)
  local all = {}
  for name, value in pairs(one) do all[name] = value end
  for name, value in pairs(two or {}) do all[name] = value end
  return all
end

-- Replaces the documentation's topic names by the unique ones.
local function named(text)
  return text and (text:gsub("%a+", topics))
end

-- What `curl URL -u user:pass [-H …] [-d data]` sends; with `method` as -X.
local function curl(path, data, headers, method)
  local all = merged(CURL, headers)
  if data then all["Content-Type"] = FORM end
  local options = { body = named(data), headers = all }
  return service.request(method or (data and "POST" or "GET"), named(path), options)
end

-- What the JavaScript client sends; an undefined body means none.
local function javascript(method, path, body, headers)
  local all = merged({
    ["Content-Type"] = "application/json", Accept = "*/*", Connection = "keep-alive",
    ["Accept-Encoding"] = "gzip,deflate", ["User-Agent"] = "node-fetch",
  }, headers)
  return gzip.undo(service.request(method, named(path), { body = named(body), headers = all }))
end

-- The "topic/partition" of each message.
local function places(metadata)
  local list = {}
  for index, each in ipairs(metadata) do
    list[index] = service.place(each)
  end
  return list
end

-- Repeats a consume until something has arrived; returns the values, sorted.
local function consumed(send, total)
  local values = {}
  service.eventually(15, function()
    for _, message in ipairs(ok(send())) do table.insert(values, message.value) end
    return #values >= total, #values .. " messages"
  end)
  table.sort(values)
  return values
end

local function fresh_topics()
  topics = nil
  local made = {
    greetings = service.topic(4, "g"), cities = service.topic(4, "c"), words = service.topic(1, "w"),
  }
  topics = made
end

describe("documented forms:", function()
  service.attach()
  before_each(fresh_topics)

  describe("produce", function()
    it("one message in the path", function()
      local metadata = ok(curl "/produce/greetings/hello_kafka")
      assert.equal(topics.greetings, metadata.topic)
      assert.equal(0, metadata.offset)
    end)

    it("one message in the path, with a key", function()
      assert.equal(topics.cities, ok(curl "/produce/cities/Istanbul?key=city").topic)
    end)

    it("one message to a topic", function()
      assert.equal(1, #ok(curl("/produce/greetings", '{"value": "hello_kafka"}')))
    end)

    it("one message with every attribute", function()
      assert.same({ topics.cities .. "/1" }, places(ok(curl("/produce/cities",
        '{"partition": 1, "key": "city", "value": "Istanbul", '
        .. '"headers": [{"key": "expire", "value": "1637745834756"}] }'))))
    end)

    it("several messages to a topic", function()
      assert.equal(3, #ok(curl("/produce/greetings", [=[[
           {"value": "hello_world"},
           {"value": "hello_upstash"},
           {"value": "hello_kafka"}
       ]]=])))
    end)

    it("several messages with attributes, and a trailing comma", function()
      local metadata = ok(curl("/produce/cities", [=[[
           {"partition": 1, "timestamp": 1637745834744, "key": "city", "value": "Istanbul"},
           {"partition": 2, "timestamp": 1637745823147, "key": "city", "value": "London"},
           {"partition": 3, "timestamp": 1637455583829, "key": "city", "value": "Tokyo"},
       ]]=]))
      local cities = topics.cities
      assert.same({ cities .. "/1", cities .. "/2", cities .. "/3" }, places(metadata))
      assert.equal(1637745834744, metadata[1].timestamp)
      assert.equal(1637455583829, metadata[3].timestamp)
    end)

    it("one message that names its topic", function()
      local metadata = ok(curl("/produce", '{"topic": "greetings", "value": "hello_kafka"}'))
      assert.equal(topics.greetings, metadata[1].topic)
    end)

    it("several messages to several topics, and a trailing comma", function()
      local metadata = ok(curl("/produce", [=[[
           {"topic": "greetings", "partition": 0, "value": "hello_world"},
           {"topic": "greetings", "partition": 0, "value": "hello_upstash"},
           {"topic": "cities", "partition": 1, "value": "Istanbul"},
           {"topic": "cities", "partition": 2, "value": "London"},
           {"topic": "cities", "partition": 3, "value": "Tokyo"},
       ]]=]))
      local greetings, cities = topics.greetings, topics.cities
      assert.same({
        greetings .. "/0", greetings .. "/0", cities .. "/1", cities .. "/2", cities .. "/3",
      }, places(metadata))
    end)

    it("with a trailing slash", function()
      ok(curl("/produce/", '{"topic": "greetings", "value": "hello_kafka"}'))
      ok(curl("/produce/greetings/", '{"value": "hello_kafka"}'))
      ok(curl "/produce/greetings/hello_kafka/")
    end)

    it("by GET with a body", function()
      ok(curl("/produce", '{"topic": "greetings", "value": "hello_kafka"}', nil, "GET"))
      ok(curl("/produce/greetings", '[{"value": "hello_kafka"}]', nil, "GET"))
    end)
  end)

  describe("webhook", function()
    it("with Basic credentials", function()
      ok(curl("/webhook?topic=words", "some event data"))
      assert.equal("some event data", service.fetch_all(topics.words, 0, 1)[1].value)
      assert.same({}, service.fetch_all(topics.words, 0, 1)[1].headers)
    end)

    it("with headers, like the equivalent produce", function()
      ok(curl("/webhook?topic=words", "some event data",
        { ["event-timestamp"] = "1642628041", ["event-origin"] = "my-app" }))
      ok(curl("/produce", [[{
          "topic": "words",
          "value": "some event data",
          "headers": [
              {"key": "event-timestamp", "value": "1642628041"},
              {"key": "event-origin", "value": "my-app"},
            ]
          }]]))
      local messages = service.fetch_all(topics.words, 0, 2)
      local hooked, produced = messages[1], messages[2]
      local function by_key(a, b) return a.key < b.key end
      table.sort(hooked.headers, by_key)
      table.sort(produced.headers, by_key)
      assert.same(produced.headers, hooked.headers)
      assert.equal(produced.value, hooked.value)
    end)
  end)

  describe("consume", function()
    local earliest = { ["Kafka-Auto-Offset-Reset"] = "earliest" }

    -- One consume from the documentation, with its own group, from the earliest message on.
    local function consume(rest, data, headers, method)
      local path = ("/consume/%s/myconsumer%s"):format(service.name "MG", rest)
      return function() return curl(path, data, merged(earliest, headers), method) end
    end

    local ALL = '{"topics": ["greetings", "cities", "words"], "timeout": 1000}'

    before_each(function()
      service.produce(topics.greetings, "hello")
      service.produce(topics.cities, "Istanbul")
      service.produce(topics.words, "word")
    end)

    it("one topic", function()
      assert.same({ "hello" }, consumed(consume "/greetings", 1))
    end)

    it("one topic with a timeout", function()
      assert.same({ "hello" }, consumed(consume "/greetings?timeout=10000", 1))
    end)

    it("one topic by a body", function()
      assert.same({ "hello" }, consumed(consume("", '{"topic": "greetings", "timeout": 1000}'), 1))
    end)

    local three = { "Istanbul", "hello", "word" }

    it("several topics", function()
      assert.same(three, consumed(consume("", ALL), 3))
    end)

    for what, headers in pairs {
      ["without auto commit"] = { ["Kafka-Enable-Auto-Commit"] = "false" },
      ["with an auto commit interval"] =
        { ["Kafka-Enable-Auto-Commit"] = "true", ["Kafka-Auto-Commit-Interval"] = "3000" },
      ["with a session timeout"] = { ["Kafka-Session-Timeout-Ms"] = "120000" },
    } do
      it("several topics " .. what, function()
        assert.same(three, consumed(consume("", ALL, headers), 3))
      end)
    end

    it("with trailing slashes", function()
      assert.same({ "hello" }, consumed(consume "/greetings/?timeout=1000", 1))
      assert.same(three, consumed(consume("/", ALL), 3))
    end)

    it("by GET with a body", function()
      assert.same(three, consumed(consume("", ALL, nil, "GET"), 3))
    end)
  end)

  it("commit, committed and delete-consumer", function()
    local group = service.name "MG"
    service.join(group, "myconsumer", { topics.greetings, topics.cities }, service.MANUAL)
    local function path(verb) return ("/%s/%s/myconsumer"):format(verb, group) end
    local success = { result = "Success", status = 200 }

    assert.same(success, ok(curl(path "commit", '{"topic": "cities", "partition": 1, "offset": 10}')))
    assert.same(success, ok(curl(path "commit", [=[[
        {"topic": "cities", "partition": 0, "offset": 13},
        {"topic": "cities", "partition": 1, "offset": 37},
        {"topic": "greetings", "partition": 0, "offset": 19}
    ]]=])))
    assert.same(success, ok(curl(path "commit")))
    assert.same(success, ok(curl(path "commit" .. "/", nil, nil, "POST")))

    local one = ok(curl(path "committed", '{"topic": "cities", "partition": 0}'))
    assert.same({ { topic = topics.cities, partition = 0, offset = 13 } }, one)
    local several = ok(curl(path "committed", [=[[
        {"topic": "cities", "partition": 0},
        {"topic": "cities", "partition": 1},
        {"topic": "greetings", "partition": 0}
    ]]=]))
    assert.equal(3, #several)
    local timed = '{"topic": "cities", "partition": 1}'
    assert.equal(37, ok(curl(path "committed" .. "?timeout=1000", timed))[1].offset)
    assert.equal(37, ok(curl(path "committed" .. "/", timed, nil, "GET"))[1].offset)

    assert.same(success, ok(curl(path "delete-consumer", nil, nil, "POST")))
  end)

  it("delete-consumer by DELETE", function()
    local group = service.name "MG"
    service.join(group, "myconsumer", topics.words)
    local path = ("/delete-consumer/%s/myconsumer/"):format(group)
    assert.equal("Success", ok(curl(path, nil, nil, "DELETE")).result)
  end)

  describe("fetch", function()
    before_each(function()
      for partition = 1, 3 do service.fill(topics.greetings, 2, partition) end
      service.fill(topics.words, 1, 0)
      service.fill(topics.cities, 11, 1)
    end)

    -- Fetches until one answer has `total` messages.
    local function fetched(path, data, method, total)
      service.eventually(10, function()
        local count = #ok(curl(path, data, nil, method))
        return count == total, count .. " messages"
      end)
    end

    it("one position", function()
      fetched("/fetch", '{"topic": "greetings", "partition": 3, "offset": 1, "timeout": 1000}', nil, 1)
    end)

    it("several positions", function()
      fetched("/fetch", [[{
        "topicPartitionOffsets": [
            {"topic": "greetings", "partition": 1, "offset": 1},
            {"topic": "greetings", "partition": 2, "offset": 1},
            {"topic": "greetings", "partition": 3, "offset": 1},
            {"topic": "cities", "partition": 1, "offset": 10},
            {"topic": "cities", "partition": 2, "offset": 20}
        ],
        "timeout": 5000
      }]], nil, 4)
    end)

    it("both, with a trailing slash, by POST and by GET", function()
      local body = [[{
        "topic": "words", "partition": 0, "offset": 0,
        "topicPartitionOffsets": [
            {"topic": "cities", "partition": 1, "offset": 10},
            {"topic": "cities", "partition": 2, "offset": 20}
        ],
        "timeout": 5000
      }]]
      fetched("/fetch/", body, "POST", 2)
      fetched("/fetch/", body, "GET", 2)
    end)
  end)

  describe("metadata", function()
    it("topics", function()
      assert.equal(4, ok(curl "/topics")[topics.cities])
      assert.equal(1, ok(curl "/topics/")[topics.words])
    end)

    it("consumers", function()
      local group = service.name "MG"
      service.join(group, "myconsumer", topics.words)
      local listed = false
      for _, each in ipairs(ok(curl "/consumers/")) do listed = listed or each.name == group end
      assert.is_true(listed)
    end)

    local ONE = '{"topic": "cities", "partition": 0}'
    local SEVERAL = [=[[
          {"topic": "cities", "partition": 0},
          {"topic": "cities", "partition": 1},
          {"topic": "greetings", "partition": 0}
      ]]=]

    for _, path in ipairs {
      "/offsets/1642591892", "/offsets/earliest", "/offsets/latest", "/offsets/latest?timeout=1000",
      "/offsets/latest/?timeout=1000",
    } do
      it("GET and POST " .. path, function()
        service.produce(topics.cities, { { value = "v", partition = 0 } })
        local offset = path:find "latest" and 1 or 0
        for _, method in ipairs { "GET", "POST" } do
          assert.equal(offset, ok(curl(path, ONE, nil, method))[1].offset)
          assert.equal(3, #ok(curl(path, SEVERAL, nil, method)))
        end
      end)
    end
  end)

  describe("the JavaScript client", function()
    it("produces", function()
      local message = '{"topic":"words","value":"{\\"hello\\":\\"wörld\\"}","key":"k","partition":0}'
      local metadata = ok(javascript("POST", "/produce", message))
      assert.equal(topics.words, metadata[1].topic)
      assert.equal('{"hello":"wörld"}', service.fetch_all(topics.words, 0, 1)[1].value)
    end)

    it("produces many", function()
      local metadata = ok(javascript("POST", "/produce",
        '[{"topic":"words","partition":0,"value":"a"},{"topic":"cities","partition":2,"value":"b"}]'))
      assert.same({ topics.words .. "/0", topics.cities .. "/2" }, places(metadata))
    end)

    it("consumes, commits and removes its instance", function()
      local group = service.name "MG"
      local headers = {
        ["Kafka-Enable-Auto-Commit"] = "false", ["Kafka-Auto-Commit-Interval"] = "5000",
        ["Kafka-Auto-Offset-Reset"] = "earliest",
      }
      service.produce(topics.words, "hello")
      local path = ("/consume/%s/one"):format(group)
      local function send()
        return javascript("POST", path, '{"topic":"words","timeout":1000}', headers)
      end
      assert.same({ "hello" }, consumed(send, 1))
      ok(javascript("POST", ("/commit/%s/one"):format(group)))
      local committed = ok(javascript("POST", ("/committed/%s/one"):format(group),
        '[{"topic":"words","partition":0}]'))
      assert.equal(1, committed[1].offset)
      ok(javascript("POST", ("/commit/%s/one"):format(group),
        '{"topic":"words","partition":0,"offset":0}'))
      assert.equal(0, service.committed(group, topics.words))
      ok(javascript("POST", ("/delete-consumer/%s/one"):format(group)))
    end)

    it("consumes several topics", function()
      service.produce(topics.words, "hello")
      service.produce(topics.cities, "London")
      local path = ("/consume/%s/one"):format(service.name "MG")
      local body = '{"topics":["words","cities"]}'
      assert.same({ "London", "hello" }, consumed(function()
        return javascript("POST", path, body, { ["Kafka-Auto-Offset-Reset"] = "earliest" })
      end, 2))
    end)

    it("fetches", function()
      service.produce(topics.words, "hello")
      local messages = ok(javascript("POST", "/fetch", '{"topic":"words","partition":0,"offset":0}'))
      assert.same({ "hello" }, service.values(messages))
    end)

    it("asks for topics, consumers and offsets", function()
      assert.equal(1, ok(javascript("GET", "/topics"))[topics.words])
      ok(javascript("GET", "/consumers"))
      for _, timestamp in ipairs { "earliest", "latest", "1642591892000" } do
        local body = '[{"topic":"words","partition":0}]'
        assert.equal(0, ok(javascript("POST", "/offsets/" .. timestamp, body))[1].offset)
      end
    end)
  end)
end)
