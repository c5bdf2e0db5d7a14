-- Section 4 of the contract: what a consumer's next request says about its last response, when the
-- client gave up in the middle of it.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local ok, post, json = service.ok, service.post, service.json

-- A control character takes six bytes in JSON, so a response with one message is larger than what
-- sockets buffer: the server sees that the client has gone.
local MESSAGES, MESSAGE = 3, ("\1"):rep(1000000)
local SMALL = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Encoding"] = "base64" }

local function large_topic()
  local topic = service.topic(1)
  for _ = 1, MESSAGES do ok(post("/webhook?topic=" .. topic, MESSAGE)) end
  return topic
end

local function body_of(topic, timeout)
  return json { topic = topic, timeout = timeout, max_messages = 1 }
end

local function start(group, topic)
  return service.client:start("POST", ("/consume/%s/one"):format(group), {
    headers = service.EARLIEST, body = body_of(topic, 3000),
  }).connection
end

-- Waits for the first bytes of a response with messages, reads no further, and hangs up. Returns
-- the offset of the first message, or nil for a response without any: an empty one, or a failure
-- while Kafka is busy.
local function give_up(connection)
  local deadline, offset = http.now() + 60
  repeat
    connection:fill(deadline)
    if connection.buffer:find("\r\n\r\n[]", 1, true) or connection.buffer:find "^HTTP/1.1 50[34]" then break end
    offset = connection.buffer:match '\r\n\r\n%[{"topic":"[^"]+","partition":0,"offset":(%d+),'
  until offset
  connection:close()
  return tonumber(offset)
end

-- The offsets of all messages that the group has not acknowledged.
local function rest(group, topic)
  local offsets = {}
  service.eventually(30, function()
    local path = ("/consume/%s/one"):format(group)
    local response = post(path, body_of(topic, 1000), { headers = SMALL })
    for _, message in ipairs(ok(response)) do table.insert(offsets, message.offset) end
    return #offsets >= MESSAGES, ("%d of %d messages"):format(#offsets, MESSAGES)
  end)
  return offsets
end

describe("the last response:", function()
  service.attach()

  it("A11: a client that gives up in the middle of it and asks again at once loses nothing, 100 times", function()
    local topic, group = large_topic(), service.name "group"
    local interrupted, empty = 0, 0
    while interrupted < 100 do -- an empty one takes three seconds
      local offset = give_up(start(group, topic))
      assert.is_true(offset == nil or offset == 0, "the response begins at offset " .. tostring(offset))
      if offset then interrupted = interrupted + 1 else empty = empty + 1 end
      assert.is_true(empty < 30, "nothing is delivered any more")
    end
    assert.same({ 0, 1, 2 }, rest(group, topic))
  end)

  it("A12: a deletion does not acknowledge a response that failed", function()
    local topic, group = large_topic(), service.name "group"
    for _ = 1, 10 do
      local offset
      service.eventually(30, function()
        offset = give_up(start(group, topic))
        return offset
      end)
      assert.equal(0, offset)
      ok(post(("/delete-consumer/%s/one"):format(group), ""))
      assert.is_true(service.committed(group, topic) <= 0)
    end
    assert.same({ 0, 1, 2 }, rest(group, topic))
  end)

  it("A12: a deletion acknowledges a response that was written", function()
    local topic, group = service.topic(1), service.name "group"
    service.fill(topic, 3)
    assert.equal(3, #service.consume_all(group, "one", topic, 3, service.EARLIEST))
    ok(post(("/delete-consumer/%s/one"):format(group), ""))
    assert.equal(3, service.committed(group, topic))
  end)

  -- The server cannot tell a client that died from one that asks on.
  it("A20: an instance that restarts under its old name within its session has acknowledged its last batch", function()
    local topic, group = service.topic(1), service.name "group"
    service.fill(topic, 2)
    local path = ("/consume/%s/one"):format(group)
    local headers = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Session-Timeout-Ms"] = "60000" }
    local function next_offset()
      local messages
      service.eventually(30, function()
        messages = ok(post(path, body_of(topic, 1000), { headers = headers }))
        return #messages > 0
      end)
      return messages[1].offset
    end
    assert.equal(0, next_offset())
    assert.equal(1, next_offset())
  end)

  it("A20: one that commits by itself, and is deleted at each start, gets its last batch again", function()
    local topic, group = service.topic(1), service.name "group"
    service.fill(topic, 2)
    for _ = 1, 2 do
      local messages = service.consume_all(group, "one", topic, 2, service.MANUAL)
      assert.equal(0, messages[1].offset)
      ok(post(("/delete-consumer/%s/one"):format(group), ""))
    end
  end)

  it("C4: a consume whose client hung up while it waited gives way, and takes no message", function()
    local topic, group = service.topic(1), service.name "group"
    service.join(group, "one", topic, service.EARLIEST)
    for _ = 1, 5 do
      local path = ("/consume/%s/one/%s?timeout=600000"):format(group, topic)
      local connection = service.client:connect()
      connection:send(service.client:build("GET", path, { headers = service.EARLIEST }))
      service.sleep(0.05)
      connection:close()
    end
    -- Consumes of one instance take turns: this one would wait for ten minutes.
    service.produce(topic, "kept")
    local messages = service.consume_all(group, "one", topic, 1, service.EARLIEST)
    assert.same({ "kept" }, service.values(messages))
  end)
end)
