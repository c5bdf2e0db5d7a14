-- The limits of the contract (docs/rest-api.md, Limits), each at the limit and one past it.

local gzip = require "spec.contract.gzip"
local http = require "spec.support.http"
local service = require "spec.contract.service"

local get, post, ok, refused = service.get, service.post, service.ok, service.refused

local MESSAGE = 1048576 -- bytes of key, value and headers
local ZIPPED = { headers = { ["Content-Encoding"] = "gzip" } }
local BASE64 = { headers = { ["Kafka-Encoding"] = "base64" } }

local function x(count) return ("x"):rep(count) end

-- Ways to produce one message of that many bytes: each is a function of the topic and the count.
local forms = {
  ["in its value"] = function(topic, bytes)
    return post("/produce/" .. topic, { value = x(bytes) })
  end,
  ["in its key"] = function(topic, bytes)
    return post("/produce/" .. topic, { key = x(bytes - 1), value = "v" })
  end,
  ["of a tombstone"] = function(topic, bytes)
    return post("/produce/" .. topic, ('{"key":"%s","value":null}'):format(x(bytes)))
  end,
  ["in all its parts"] = function(topic, bytes)
    return post("/produce/" .. topic, { key = x(1000), value = x(bytes - 1000 - 30),
      headers = { { key = x(10), value = x(10) }, { key = x(4), value = x(6) } } })
  end,
  ["in headers"] = function(topic, bytes)
    return post("/produce/" .. topic, { value = "", headers = { { key = "k", value = x(bytes - 1) } } })
  end,
  ["with its topic in the body"] = function(topic, bytes)
    return post("/produce", { topic = topic, value = x(bytes) })
  end,
  ["behind a small one"] = function(topic, bytes)
    return post("/produce/" .. topic, { { value = "small" }, { value = x(bytes) } })
  end,
  ["in a body that is gzip"] = function(topic, bytes)
    return post("/produce/" .. topic, gzip.zip(service.json { value = x(bytes) }, 1), ZIPPED)
  end,
  ["in base64"] = function(topic, bytes)
    return post("/produce/" .. topic, { value = http.base64(x(bytes)) }, BASE64)
  end,
  ["of a webhook"] = function(topic, bytes)
    return post("/webhook?topic=" .. topic, x(bytes))
  end,
  ["of a webhook with a header"] = function(topic, bytes)
    return post("/webhook?topic=" .. topic, x(bytes - 10), { headers = { ["X-Abc"] = "12345" } })
  end,
  ["of a webhook that is gzip"] = function(topic, bytes)
    return post("/webhook?topic=" .. topic, gzip.zip(x(bytes), 1), ZIPPED)
  end,
}

describe("limits:", function()
  service.attach()

  describe("a message", function()
    for what, send in pairs(forms) do
      it(("F8: of 1 MiB %s is accepted; one byte more is not"):format(what), function()
        local topic = service.topic(1)
        refused(send(topic, MESSAGE + 1), 413, "1048576", "1048577")
        assert.equal(0, service.end_offset(topic), "a part of it was stored")
        ok(send(topic, MESSAGE))
        local stored = ok(post("/fetch", { topic = topic, partition = 0, offset = service.end_offset(topic) - 1,
          timeout = 10000 }))[1]
        local bytes = #stored.key + (stored.value == service.null and 0 or #stored.value)
        for _, header in ipairs(stored.headers) do bytes = bytes + #header.key + #header.value end
        assert.equal(MESSAGE, bytes)
      end)
    end

    it("has at most 1000 headers", function()
      local topic, headers = service.topic(1), {}
      for index = 1, 1000 do headers[index] = { key = "h" .. index, value = "v" } end
      ok(post("/produce/" .. topic, { value = "v", headers = headers }))
      assert.same(headers, service.fetch_all(topic, 0, 1)[1].headers)
      headers[1001] = { key = "h", value = "v" }
      refused(post("/produce/" .. topic, { value = "v", headers = headers }), 400, "headers", "1000")
    end)
  end)

  describe("a request", function()
    local function messages(count) return "[" .. ('{"value":""},'):rep(count) .. "]" end

    it("has at most 100000 messages", function()
      local topic = service.topic(1)
      refused(post("/produce/" .. topic, messages(100001)), 400, "100000")
      assert.equal(0, service.end_offset(topic))
      assert.equal(200, post("/produce/" .. topic, messages(100000)).status)
      assert.equal(100000, service.end_offset(topic))
    end)

    it("has at most 100000 positions", function()
      local position = ('{"topic":"%s","partition":0,"offset":0},'):format(service.topic(1))
      local body = "[" .. position:rep(100001) .. "]"
      refused(post("/commit/group/one", body), 400, "100000")
      refused(post("/fetch", ('{"timeout":0,"topicPartitionOffsets":%s}'):format(body)), 400, "topicPartitionOffsets",
        "100000")
    end)

    -- A body of spaces and an object: 16 MiB, and one byte more.
    local function body(bytes)
      local tail = '{"value":"v"}'
      return (" "):rep(bytes - #tail) .. tail
    end
    local LARGE = 16 * 1048576
    for what, send in pairs {
      ["with its length"] = function(topic, bytes) return post("/produce/" .. topic, body(bytes)) end,
      ["in chunks"] = function(topic, bytes)
        local all, chunks = body(bytes), {}
        for at = 1, #all, 1048576 do chunks[#chunks + 1] = all:sub(at, at + 1048575) end
        return post("/produce/" .. topic, nil, { chunks = chunks })
      end,
      ["after decompression"] = function(topic, bytes)
        return post("/produce/" .. topic, gzip.zip(body(bytes), 1), ZIPPED)
      end,
    } do
      it(("has a body of at most 16 MiB, %s"):format(what), function()
        local topic = service.topic(1)
        ok(send(topic, LARGE))
        refused(send(topic, LARGE + 1), 413)
        assert.equal(1, service.end_offset(topic))
      end)
    end
  end)

  -- Ways to send a number: functions of the topic and the text, each answered at once.
  local function consume_with(name)
    return function(topic, text)
      return get(("/consume/%s/one/%s?%s=%s"):format(service.name "group", topic, name, text),
        { headers = service.EARLIEST })
    end
  end
  local function consume_body(name)
    return function(topic, text)
      local body = ('{"topic":"%s","%s":%s}'):format(topic, name, text)
      return post(("/consume/%s/one"):format(service.name "group"), body,
        { headers = service.EARLIEST })
    end
  end
  local function fetch_with(name)
    return function(topic, text)
      return post(("/fetch?%s=%s"):format(name, text), { topic = topic, partition = 0, offset = 0 })
    end
  end
  local function fetch_body(name)
    return function(topic, text)
      return post("/fetch", ('{"topic":"%s","partition":0,"offset":0,"%s":%s}'):format(topic, name, text))
    end
  end
  local function position_at(path)
    return function(topic, text)
      return post(path .. "?timeout=" .. text, { topic = topic, partition = 0 })
    end
  end
  local function header(name)
    return function(topic, text)
      return get(("/consume/%s/one/%s"):format(service.name "group", topic),
        { headers = { [name] = text, ["Kafka-Auto-Offset-Reset"] = "earliest" } })
    end
  end

  -- { the name in the error, minimum, maximum, the way to send it }
  for _, row in ipairs {
    { "timeout", 0, 600000, { consume_with "timeout", consume_body "timeout", fetch_with "timeout",
      fetch_body "timeout", position_at "/offsets/latest", position_at "/committed/group/one" } },
    { "max_messages", 1, 100000, { consume_with "max_messages", consume_body "max_messages", fetch_with "max_messages",
      fetch_body "max_messages" } },
    { "max_bytes", 1, 67108864, { consume_with "max_bytes", consume_body "max_bytes", fetch_with "max_bytes",
      fetch_body "max_bytes" } },
    { "Kafka-Auto-Commit-Interval", 0, 86400000, { header "Kafka-Auto-Commit-Interval" } },
    { "Kafka-Session-Timeout-Ms", 1000, 1800000, { header "Kafka-Session-Timeout-Ms" }, service.session_timeout },
  } do
    local name, least, most, places, granted = row[1], row[2], row[3], row[4], row[5]
    it(("%s is %d to %d"):format(name, least, most), function()
      local topic = service.topic(1)
      service.produce(topic, "v")
      for _, ask in ipairs(places) do
        refused(ask(topic, ("%d"):format(least - 1)), 400, name)
        refused(ask(topic, ("%d"):format(most + 1)), 400, name)
        local taken = ask(topic, ("%d"):format(granted or least))
        if taken.status ~= 504 then ok(taken) end -- a cluster cannot answer within 0 ms
        ok(ask(topic, ("%d"):format(most)))
      end
    end)
  end

  it("names of groups and instances have 1 to 255 bytes", function()
    local topic = service.topic(1)
    local stem = service.name "long"
    local long = stem .. x(255 - #stem)
    for _, path in ipairs { ("/consume/%s/one"):format(long .. "x"), ("/consume/group/%s"):format(long .. "x") } do
      refused(post(path, { topic = topic, timeout = 0 }), 400, "255")
    end
    ok(post(("/consume/%s/%s"):format(long, long), { topic = topic, timeout = 0 }))
    ok(post(("/delete-consumer/%s/%s"):format(long, long)))
  end)

  it("a consume names at most 256 topics", function()
    local names, body = {}, { timeout = 0 }
    for index = 1, 256 do names[index] = "no-such-topic-" .. index end
    body.topics = names
    names[256] = "bad name"
    refused(post("/consume/group/one", body), 400, "topics[255]") -- it was read up to there
    names[256], names[257] = "good", "more"
    refused(post("/consume/group/one", body), 400, "topics", "256")
  end)

  it("a response is as long as max_bytes allows, to the byte", function()
    local topic = service.topic(1)
    service.produce(topic, { { value = x(100) }, { value = x(200) } })
    local function fetch(max_bytes)
      local response = post("/fetch",
        { topic = topic, partition = 0, offset = 0, max_bytes = max_bytes, timeout = 10000 })
      return #ok(response), #response.body
    end
    service.fetch_all(topic, 0, 2)
    local count, bytes = fetch(100000)
    assert.equal(2, count)
    assert.equal(2, (fetch(bytes)))
    assert.equal(1, (fetch(bytes - 1)))
    assert.equal(1, (fetch(1))) -- the first is always returned
  end)

  it("a response has at most 1000 messages unless the request asks for more", function()
    local topic = service.topic(1)
    service.fill(topic, 1001)
    service.fetch_all(topic, 0, 1001)
    local body = { topic = topic, partition = 0, offset = 0, timeout = 10000 }
    assert.equal(1000, #ok(post("/fetch", body)))
    body.max_messages = 1001
    assert.equal(1001, #ok(post("/fetch", body)))
  end)
end)
