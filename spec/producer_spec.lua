-- for: producer_send.c, producer_outcome.c, producer_report.c. The background producer, against
-- real servers.

local canned = require "spec.support.canned_server"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

describe("a producer", function()
  local server, client

  setup(function()
    server = support.start()
    client = server:client()
  end)
  teardown(function()
    client:close()
    server:stop()
  end)

  -- All messages in partition 0 of the topic.
  local function stored(topic)
    local all, offset = {}, 0
    while true do
      local batch = assert(client:fetch(topic, 0, offset, { timeout = 0 }))
      if #batch == 0 then return all end
      for _, message in ipairs(batch) do all[#all + 1] = message end
      offset = all[#all].offset + 1
    end
  end

  local function values(messages)
    local list = {}
    for index, message in ipairs(messages) do list[index] = message.value end
    return list
  end

  -- A producer with its own sender.
  local function producer_of(of_client, options)
    local all = { name = support.name "sender", log = false }
    for key, value in pairs(options or {}) do all[key] = value end
    return of_client:producer(all)
  end

  -- A client of a canned server, and that server.
  local function canned_client(steps, options)
    local stub = canned.start(steps)
    local all = { url = stub.url, retry_delay = 1, retry_delay_max = 1 }
    for key, value in pairs(options or {}) do all[key] = value end
    return kafka.new(all), stub
  end

  -- The number, padded to 100 characters.
  local function hundred(number)
    return ("0"):rep(100 - #tostring(number)) .. number
  end

  local function answer_for(count, status)
    local entries = {}
    for index = 1, count do
      entries[index] = ('{"topic":"t","partition":0,"offset":%d,"timestamp":1}'):format(index - 1)
    end
    return canned.answer(status or 200, "[" .. table.concat(entries, ",") .. "]")
  end

  local function key_of(request)
    return request:match "Idempotency%-Key: (%S+)"
  end

  describe("sends", function()
    it("in the background, in order", function()
      local topic, producer = server:topic(1, 0), producer_of(client)
      local expected = {}
      for index = 1, 2500 do
        assert.is_true(producer:send(topic, "value " .. index))
        expected[index] = "value " .. index
      end
      assert.is_true(producer:flush(20000))
      assert.same(expected, values(stored(topic)))
      local stats = producer:stats()
      assert.equal(2500, stats.sent)
      assert.equal(2500, stats.delivered)
      assert.same({ 0, 0, 0, 0 }, { stats.queued, stats.in_flight, stats.bytes, stats.failed })
      assert.is_true(producer:close())
    end)

    it("key, headers, partition and timestamp", function()
      local topic, producer = server:topic(2, 0), producer_of(client)
      local headers = { b = "2", a = "1" }
      assert(producer:send(topic, "v", { key = "k", headers = headers, partition = 1, timestamp = 1234567890123 }))
      headers = { { key = "x", value = 1 }, { key = "x", value = "" } }
      assert(producer:send(topic, "w", { headers = headers, partition = 1 }))
      assert(producer:flush(20000))
      local messages = assert(client:fetch(topic, 1, 0))
      assert.same({ "k", "v", 1234567890123 }, { messages[1].key, messages[1].value, messages[1].timestamp })
      assert.same({ { key = "a", value = "1" }, { key = "b", value = "2" } }, messages[1].headers)
      assert.same({ { key = "x", value = "1" }, { key = "x", value = "" } }, messages[2].headers)
      producer:close()
    end)

    it("numbers, tables, tombstones and the empty string", function()
      local topic, producer = server:topic(1, 0), producer_of(client)
      assert(producer:send(topic, 7))
      assert(producer:send(topic, { a = "b" }))
      assert(producer:send(topic, kafka.null, { key = "gone" }))
      assert(producer:send(topic, "", { key = "" }))
      assert(producer:flush(20000))
      local messages = stored(topic)
      assert.same({ "7", '{"a":"b"}' }, { messages[1].value, messages[2].value })
      assert.is_nil(messages[3].value)
      assert.same({ "", "" }, { messages[4].key, messages[4].value })
      producer:close()
    end)

    it("with the time of the call by default", function()
      local topic, producer = server:topic(1, 0), producer_of(client, { linger = 60000 })
      assert(client:produce(topic, "before"))
      assert(producer:send(topic, "sent"))
      require("upstash.kafka.core").sleep(20)
      assert(client:produce(topic, "after"))
      assert(producer:flush(20000))
      local messages = stored(topic)
      assert.same({ "before", "after", "sent" }, values(messages))
      assert.is_true(messages[3].timestamp >= messages[1].timestamp)
      assert.is_true(messages[3].timestamp < messages[2].timestamp)
      producer:close()
    end)

    it("to several topics, and to its own topic", function()
      local one, two = server:topic(1, 0), server:topic(1, 0)
      local producer = producer_of(client, { topic = one })
      for index = 1, 10 do
        assert(producer:send(nil, "one " .. index))
        assert(producer:send(two, "two " .. index))
      end
      assert(producer:flush(20000))
      assert.equal(10, #stored(one))
      assert.equal("two 10", stored(two)[10].value)
      producer:close()
    end)

    it("compressed when asked to", function()
      local short, stub = canned_client { "accept", "read", answer_for(100), "close" }
      local producer = producer_of(short, { gzip = true, linger = 60000 })
      local topic, real = server:topic(1, 0), producer_of(client, { gzip = true })
      for index = 1, 100 do
        assert(producer:send("t", hundred(index)))
        assert(real:send(topic, hundred(index)))
      end
      assert(producer:flush(20000))
      assert(real:flush(20000))
      producer:close()
      real:close()
      short:close()
      local request = stub:finish()[1]
      assert.is_truthy(request:find "Content%-Encoding: gzip\r?\n")
      assert.is_true(tonumber(request:match "Content%-Length: (%d+)") < 5000)
      assert.equal(100, #stored(topic))
      assert.equal(hundred(100), stored(topic)[100].value)
    end)

    it("any bytes when the client is binary", function()
      local bytes = server:client { binary = true }
      local topic, producer = server:topic(1, 0), producer_of(bytes)
      assert(producer:send(topic, "\0\255", { key = "\254", headers = { h = "\253" } }))
      local _, text = producer:send(topic, "v", { headers = { ["\253"] = "h" } })
      assert.equal("header key is not valid UTF-8", text)
      assert(producer:flush(20000))
      local message = assert(bytes:fetch(topic, 0, 0))[1]
      assert.same({ "\0\255", "\254", "\253" }, { message.value, message.key, message.headers[1].value })
      producer:close()
      bytes:close()
    end)

    it("after its client was closed", function()
      local topic, short = server:topic(1, 0), server:client()
      local producer = producer_of(short)
      short:close()
      assert(producer:send(topic, "v"))
      assert.is_true(producer:flush(20000))
      producer:close()
      assert.equal(1, #stored(topic))
    end)
  end)

  describe("says at once", function()
    it("if a message can never be sent", function()
      local producer = producer_of(client, { queue_bytes = 4096 })
      local function failure(...)
        local sent, message, details = producer:send(...)
        assert.is_nil(sent)
        return details.code .. ": " .. message
      end
      local hint = " is not valid UTF-8 (binary = true sends any bytes)"
      assert.equal("bad_request: value" .. hint, failure("t", "\255"))
      assert.equal("bad_request: key" .. hint, failure("t", "v", { key = "\255" }))
      assert.equal("bad_request: header value" .. hint, failure("t", "v", { headers = { a = "\255" } }))
      assert.equal("bad_request: header key is not valid UTF-8", failure("t", "v", { headers = { ["\255"] = "a" } }))
      assert.equal("bad_request: topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected", failure("a b", "v"))
      assert.equal("too_large: the body or a message is over the limit", failure("t", ("x"):rep(4096)))
      assert.same({ 0, 0 }, { producer:stats().sent, producer:stats().refused })
      producer:close()
    end)

    it("if a call is misuse", function()
      local producer = producer_of(client)
      local function raises(text, ...)
        local fine, message = pcall(...)
        assert.is_false(fine)
        assert.is_truthy(message:find(text, 1, true), message)
      end
      raises("bad argument #1 to 'send' (topic: string expected: the producer has no default topic)", producer.send,
        producer)
      raises("bad argument #1 to 'send' (topic: string expected, got number)", producer.send, producer, 1, "v")
      raises("bad argument #2 to 'send' (value: string, number, table or null expected, got nil)", producer.send,
        producer, "t")
      raises("bad argument #3 to 'send' (unknown option 'kye')", producer.send, producer, "t", "v", { kye = 1 })
      raises("bad argument #3 to 'send' (headers: table expected, got string)", producer.send, producer, "t", "v",
        { headers = "x" })
      raises("bad argument #1 to 'producer' (unknown option 'lingr')", client.producer, client, { lingr = 1 })
      raises("bad argument #1 to 'producer' (overflow: \"error\", \"block\" or \"drop_oldest\" expected, got \"wait\")",
        client.producer, client, { overflow = "wait" })
      raises("bad argument #1 to 'producer' (in_flight: integer from 1 to 64 expected, got 0)", client.producer, client,
        { in_flight = 0 })
      for _, topic in ipairs { "a b", "", ("t"):rep(250) } do
        raises("bad argument #1 to 'producer' (topic: a topic name", client.producer, client, { topic = topic })
      end
      raises("bad argument #1 to 'flush' (timeout: integer", producer.flush, producer, -1)
      producer:close()
      raises("producer is closed", producer.send, producer, "t", "v")
      raises("producer is closed", producer.flush, producer)
    end)
  end)

  describe("keeps the requests apart", function()
    it("by an Idempotency-Key, which a retry keeps", function()
      local short, stub = canned_client { "accept", "read", canned.answer(503, '{"error":"later","status":503}'),
        "read", "close", "accept", "read", answer_for(2), "read", answer_for(1), "close" }
      local producer = producer_of(short, { linger = 60000, batch_messages = 2 })
      assert(producer:send("t", "a", { timestamp = 1 }))
      assert(producer:send("t", "b", { timestamp = 1 }))
      assert(producer:send("t", "c", { timestamp = 1 }))
      assert.is_true(producer:flush(10000))
      local stats = producer:stats()
      producer:close()
      local requests = stub:finish()
      assert.equal(4, #requests)
      -- libcurl itself resends a request that died with a kept connection
      assert.is_true(stats.retried >= 1)
      assert.equal(requests[1], requests[2])
      assert.equal(requests[1], requests[3])
      assert.is_truthy(requests[1]:find "^POST /produce/t HTTP")
      assert.is_truthy(key_of(requests[1]):find "^[%x-]+$")
      assert.are_not.equal(key_of(requests[1]), key_of(requests[4]))
      short:close()
    end)

    it("by size", function()
      local topic, producer = server:topic(1, 0), producer_of(client, { batch_messages = 7, linger = 60000 })
      for index = 1, 70 do assert(producer:send(topic, tostring(index))) end
      assert(producer:flush(20000))
      assert.equal(10, producer:stats().requests)
      producer:close()
    end)
  end)

  describe("reports", function()
    it("messages that the server refused, and delivers the rest", function()
      local topic, producer = server:topic(1, 0), producer_of(client, { linger = 1000 })
      for index = 1, 100 do
        local bad = index == 30 or index == 77
        assert(producer:send(topic, tostring(index), { partition = bad and 5 or 0, key = bad and "k" or nil }))
      end
      local flushed, text, details = producer:flush(20000)
      local reason = ('topic "%s" has no partition 5; it has 1'):format(topic)
      assert.same({ nil, "2 messages were given up: " .. reason }, { flushed, text })
      local first = { error = reason, code = "bad_request", status = 400, retriable = false }
      assert.same({ error = text, code = "bad_request", status = 400, retriable = false, given_up = 2, pending = 0,
        first = first }, details)
      assert.is_true(producer:flush(20000)) -- each is reported once
      local failures, missed = producer:failures()
      assert.same({ 2, 0 }, { #failures, missed })
      assert.same({ "30", "77" }, { failures[1].message.value, failures[2].message.value })
      local message = failures[1].message
      assert.same({ topic, "k", 5 }, { message.topic, message.key, message.partition })
      assert.same({ "bad_request", 400, false }, { failures[1].code, failures[1].status, failures[1].retriable })
      assert.is_truthy(failures[1].error:find "no partition 5")
      assert.equal(0, #producer:failures())
      assert.equal(98, #stored(topic))
      assert.same({ 98, 2 }, { producer:stats().delivered, producer:stats().failed })
      message.partition = 0
      assert(client:produce_many { message })
      producer:close()
    end)

    it("messages that waited too long", function()
      local gone = kafka.new { url = "http://127.0.0.1:1", retry_delay = 10 }
      local producer = producer_of(gone, { message_timeout = 1000 })
      assert(producer:send("t", "v", { headers = { a = "b" } }))
      assert(producer:send("t", "w", { partition = 0, timestamp = 1 }))
      assert.same({ "connect_failed", 2, 0 }, (function(_, _, details)
        return { details.code, details.given_up, details.pending }
      end)(producer:flush(10000)))
      local failures = producer:failures()
      assert.same({ topic = "t", value = "w", partition = 0, timestamp = 1 }, failures[2].message)
      local failure = failures[1]
      assert.is_nil(failure.message.partition)
      assert.same({ "v", "connect_failed" }, { failure.message.value, failure.code })
      assert.is_true(failure.retriable)
      assert.is_nil(failure.status)
      assert.same({ { key = "a", value = "b" } }, failure.message.headers)
      producer:close()
      gone:close()
    end)

    it("late messages: after the client's timeout for flush, flush_timeout for close, or the given timeout", function()
      local gone = kafka.new { url = "http://127.0.0.1:1", timeout = 31 }
      local producer = producer_of(gone, { flush_timeout = 32 })
      assert(producer:send("t", "v"))
      for timeout, results in pairs { [33] = { producer:flush(33) }, [31] = { producer:flush() },
        [32] = { producer:close() } } do
        local text = ("1 message was not delivered within %d ms"):format(timeout)
        assert.equal(text, results[2]:sub(1, #text))
      end
      gone:close()
    end)

    it("messages that were not delivered when it was closed", function()
      local gone = kafka.new { url = "http://127.0.0.1:1" }
      local producer = producer_of(gone)
      assert(producer:send("t", "v"))
      assert(producer:send("t", kafka.null))
      local closed, message, details = producer:close(100)
      assert.truthy(message:find "^2 messages were not delivered within 100 ms: .*connect")
      assert.same({ "timeout", 0, 2 }, { details.code, details.given_up, details.pending })
      assert.is_nil(closed)
      local failures = producer:failures()
      assert.same({ "v", kafka.null }, { failures[1].message.value, failures[2].message.value })
      assert.same({ "cancelled", 2 }, { failures[1].code, producer:stats().lost })
      assert.is_true(producer:close())
      gone:close()
    end)
  end)

  it("that shares its queue ends the thread if it is the last to close", function()
    local gone = kafka.new { url = "http://127.0.0.1:1" }
    local options = { name = support.name "sender", log = false }
    local first, last = gone:producer(options), gone:producer(options)
    assert(first:send("t", "v"))
    assert(last:send("t", "w"))
    assert.truthy(select(2, first:close(0)):find "^2 messages were not delivered within 0 ms")
    assert.same({ 2, 0 }, { last:stats().queued + last:stats().in_flight, last:stats().lost })
    assert.is_true(first:close(0))
    assert(last:send("t", "x"))
    assert.truthy(select(2, last:close(0)):find "^3 messages were not delivered within 0 ms")
    assert.same({ 3, 3 }, { last:stats().lost, #last:failures() })
    gone:close()
  end)

  local scoped = _VERSION == "Lua 5.4" and it or function() end
  scoped("is closed when an error leaves its scope, and the error stays the same", function()
    local topic, held = server:topic(1, 0), nil
    local function open()
      held = producer_of(client, { linger = 60000 })
      assert(held:send(topic, "v"))
      return held
    end
    local run = assert(load([[
      local open = ...
      local producer <close> = open()
      error("mine", 0)]]))
    assert.same({ false, "mine" }, { pcall(run, open) })
    assert.error_matches(function() held:send(topic, "late") end, "producer is closed", 1, true)
    assert.same({ "v" }, values(stored(topic)))
  end)

  describe("with a full queue", function()
    -- Sends up to 1000 messages of 100 bytes, which nobody receives, until one is refused.
    local function fill(options)
      local gone = kafka.new { url = "http://127.0.0.1:1", retry_delay = 60000, retry_delay_max = 60000 }
      options.queue_bytes, options.batch_bytes = 4096, 1024
      local producer = producer_of(gone, options)
      local refused, code = 0, nil
      for index = 1, 1000 do
        local sent, _, details = producer:send("t", hundred(index))
        if not sent then
          refused, code = refused + 1, details.code
          if options.overflow == "block" then break end
        end
      end
      gone:close()
      return producer, refused, code
    end

    it("refuses", function()
      local producer, refused, code = fill { overflow = "error" }
      local stats = producer:stats()
      assert.equal("queue_full", code)
      assert.is_true(refused > 900)
      assert.same({ 1000, refused }, { stats.sent + stats.refused, stats.refused })
      assert.is_true(stats.bytes <= 4096)
      producer:close(0)
    end)

    it("drops the oldest waiting messages", function()
      local producer, refused = fill { overflow = "drop_oldest" }
      local stats = producer:stats()
      assert.equal(0, refused)
      assert.equal(1000, stats.sent)
      assert.equal(1000, stats.dropped + stats.queued + stats.in_flight)
      assert.is_true(stats.dropped > 900)
      producer:close(0)
      local failures = producer:failures()
      assert.equal(hundred(1000), failures[#failures].message.value)
    end)

    it("waits, but not forever", function()
      local core = require "upstash.kafka.core"
      local started = core.now()
      local producer, refused, code = fill { overflow = "block", block_timeout = 100 }
      assert.same({ 1, "queue_full" }, { refused, code })
      assert.is_true(core.now() - started >= 100)
      producer:close(0)
    end)

    it("waits until there is room", function()
      local topic = server:topic(1, 0)
      local producer = producer_of(client, { overflow = "block", block_timeout = 20000, queue_bytes = 4096 })
      for index = 1, 1000 do assert(producer:send(topic, hundred(index))) end
      assert(producer:flush(20000))
      assert.equal(1000, #stored(topic))
      producer:close()
    end)
  end)

  describe("waits", function()
    it("until every sent message is delivered or discarded, or the timeout", function()
      local gone = kafka.new { url = "http://127.0.0.1:1" }
      local producer = producer_of(gone)
      assert.is_true(producer:flush(0))
      assert(producer:send("t", "v"))
      local flushed, message, details = producer:flush(50)
      assert.is_nil(flushed)
      assert.truthy(message:find "^1 message was not delivered within 50 ms")
      assert.equal("timeout", details.code)
      producer:close(0)
      gone:close()
    end)

    it("without blocking, by a mark", function()
      local topic, producer = server:topic(1, 0), producer_of(client, { linger = 60000 })
      assert.equal(0, producer:hurry())
      assert.is_true(producer:settled(0))
      assert(producer:send(topic, "a"))
      assert.is_false(producer:settled(1))
      local mark = producer:hurry()
      shell.eventually(20, function() return producer:settled(mark) end)
      assert.equal(1, #stored(topic))
      assert(producer:send(topic, "b"))
      assert.is_true(producer:settled(mark))
      assert.is_false(producer:settled(mark + 1))
      assert.is_true(producer:close())
      assert.equal(2, #stored(topic))
    end)
  end)

  describe("shares its sender", function()
    it("with others of the same options", function()
      local topic, name = server:topic(1, 0), support.name "shared"
      local one, two = client:producer { name = name, linger = 60000 }, client:producer { name = name, linger = 60000 }
      assert(one:send(topic, "1"))
      assert(two:send(topic, "2"))
      assert.equal(2, one:stats().sent)
      assert.is_true(one:close(20000))
      assert.equal(2, #stored(topic))
      assert(two:send(topic, "3"))
      assert.is_true(two:close(20000))
      assert.equal(3, #stored(topic))
    end)

    it("and leaves it to the others when it is collected", function()
      local topic, name = server:topic(1, 0), support.name "left"
      for index = 1, 200 do
        assert(client:producer({ name = name }):send(topic, tostring(index)))
        if index % 50 == 0 then collectgarbage() end
      end
      collectgarbage()
      local last = client:producer { name = name }
      assert(last:send(topic, "last"))
      assert.is_true(last:flush(20000))
      assert.equal(201, last:stats().sent)
      assert.equal(201, #stored(topic))
      last:close()
    end)
  end)

  describe("at the end of the process", function()
    local function run(program)
      return shell.run(("%s -e %s"):format(shell.lua, shell.quote(program)), { environment = server:environment() })
    end

    local ends = {
      ["that just ends"] = { "", 0 },
      ["that exits"] = { "os.exit(3)", 3 },
      ["that raises"] = { "error 'no'", 1 },
      ["that collects the producer"] = { "producer = nil collectgarbage() collectgarbage()", 0 },
      ["that closes it"] = { "assert(producer:close())", 0 },
      ["that closes all"] = { "assert(require('upstash.kafka.core').close_producers())", 0 },
    }
    for title, case in pairs(ends) do
      it(title .. ", everything is delivered", function()
        local topic = server:topic(1, 0)
        local status, _, err = run(([[
          producer = require("upstash.kafka").producer { linger = 60000 }
          for index = 1, 3000 do assert(producer:send(%q, tostring(index))) end
          %s]]):format(topic, case[1]))
        assert.equal(case[2], status, err)
        assert.equal(3000, #stored(topic))
      end)
    end

    it("no message waits too long, and the loss is reported", function()
      local status, _, err = run [[
        local client = require("upstash.kafka").new { url = "http://127.0.0.1:1" }
        local producer = client:producer { flush_timeout = 200 }
        for index = 1, 10 do assert(producer:send("t", tostring(index))) end]]
      assert.equal(0, status)
      assert.equal("upstash-kafka: messages discarded: 10; the last one: " ..
        "the producer was closed before the message was delivered\n", err)
    end)
  end)
end)
