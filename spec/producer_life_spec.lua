-- for: producer.c, producer_report.c. A producer as a Lua value: its type, its end, and what it
-- says before it has sent anything. No server is needed.

local kafka = require "upstash.kafka"
local core = require "upstash.kafka.core"
local support = require "spec.support.server"

describe("a producer's life:", function()
  local client

  setup(function() client = kafka.new { url = "http://127.0.0.1:1", retry_delay = 60000, retry_delay_max = 60000 } end)
  teardown(function() client:close() end)

  local function producer_of(options)
    local all = { name = support.name "life", log = false, flush_timeout = 0 }
    for name, value in pairs(options or {}) do all[name] = value end
    return client:producer(all)
  end

  it("it prints whether it is closed", function()
    local producer = producer_of()
    assert.equal("upstash.kafka.producer", tostring(producer))
    assert.is_true(producer:close())
    assert.equal("upstash.kafka.producer (closed)", tostring(producer))
  end)

  it("its type is protected, and its methods take nothing else", function()
    local producer = producer_of()
    assert.equal("protected", getmetatable(producer))
    assert.is_nil(producer.__gc)
    assert.is_nil(producer.__index)
    for _, name in ipairs { "send", "flush", "hurry", "settled", "stats", "failures", "close" } do
      for _, other in ipairs { client, io.stdout, {}, 5 } do
        local fine, text = pcall(producer[name], other)
        assert.is_false(fine)
        assert.truthy(text:find("upstash.kafka.producer expected", 1, true), text)
      end
    end
    producer:close()
  end)

  it("before the first message it has no thread: all counts are 0, and everything is flushed", function()
    local producer = producer_of()
    local zero = { latency = { mean = 0, p50 = 0, p99 = 0, max = 0 } }
    for _, name in ipairs { "sent", "delivered", "failed", "dropped", "refused", "lost", "retried", "requests",
      "queued", "bytes", "in_flight" } do
      zero[name] = 0
    end
    assert.same(zero, producer:stats())
    assert.same({ {}, 0 }, { producer:failures() })
    assert.is_true(producer:flush(0))
    assert.equal(0, producer:hurry())
    assert.is_true(producer:settled(5))
    assert.is_true(producer:close(0))
  end)

  it("after close it only reports: stats, failures, settled", function()
    local producer = producer_of()
    assert(producer:send("t", "v"))
    assert.is_nil((producer:close(0)))
    for _, name in ipairs { "send", "flush", "hurry" } do
      assert.has_error(function() producer[name](producer, "t", "v") end, "producer is closed")
    end
    local stats = producer:stats()
    assert.same({ 1, 1, 1, 0 }, { stats.sent, stats.failed, stats.lost, stats.delivered })
    assert.same({ 0, 0, 0, 0 }, { stats.queued, stats.bytes, stats.in_flight, stats.refused })
    assert.is_true(producer:settled(1))
    local failures = producer:failures()
    assert.equal(1, #failures)
    local message = failures[1].message
    assert.equal("number", type(message.timestamp))
    message.timestamp = nil
    assert.same({ message = { topic = "t", value = "v" }, code = "cancelled", retriable = true,
      error = "the producer was closed before the message was delivered" }, failures[1])
    assert.same({ {}, 0 }, { producer:failures() })
    assert.is_true(producer:close(0))
  end)

  it("its stats count a message in the queue as queued", function()
    local producer = producer_of { linger = 60000, queue_bytes = 4096 }
    for _ = 1, 2 do assert(producer:send("t", ("v"):rep(1000))) end
    local stats = producer:stats()
    assert.same({ 2, 2, 0 }, { stats.sent, stats.queued + stats.in_flight, stats.requests + stats.retried })
    if stats.in_flight == 0 then assert.is_true(stats.bytes > 2000 and stats.bytes < 2400, stats.bytes) end
    producer:close(0)
    assert.same({ 2, 2, 0 }, { producer:stats().lost, producer:stats().failed, producer:stats().bytes })
  end)

  it("times and marks have limits, and errors name their function", function()
    local producer = producer_of()
    for _, row in ipairs {
      { "flush", "timeout", "86400000", function(value) producer:flush(value) end },
      { "close", "timeout", "86400000", function(value) producer_of():close(value) end },
      { "close_producers", "timeout", "86400000", function(value) core.close_producers(value) end },
      { "settled", "mark", "9223372036854775807", function(value) producer:settled(value) end },
    } do
      local text = ("bad argument #1 to '%s' (%s: "):format(row[1], row[2])
      assert.has_error(function() row[4](-1) end, text .. "integer from 0 to " .. row[3] .. " expected, got -1)")
      assert.has_error(function() row[4] "1" end, text .. "integer expected, got string)")
      row[4](0)
      if row[2] == "timeout" then
        row[4](86400000)
        assert.has_error(function() row[4](86400001) end, text .. "integer from 0 to 86400000 expected, got 86400001)")
      end
    end
    assert.has_error(function() producer:settled() end,
      "bad argument #1 to 'settled' (mark: integer expected, got no value)")
    producer:close(0)
  end)

  it("close_producers ends all producers, and counts what they lose", function()
    local one, two = producer_of { linger = 60000 }, producer_of { linger = 60000 }
    assert(one:send("t", "v"))
    assert(two:send("t", "v"))
    assert(two:send("t", "w"))
    local closed, text, details = core.close_producers(0)
    assert.is_nil(closed)
    assert.equal("3 messages were not delivered within 0 ms", text)
    assert.same({ error = text, code = "timeout", retriable = true }, details)
    assert.same({ 1, 2 }, { one:stats().lost, two:stats().lost })
    local sent, _, refused = one:send("t", "late")
    assert.same({ nil, "cancelled" }, { sent, refused.code })
    assert.is_true(core.close_producers(0))
    one:close(0)
    two:close(0)
    assert.same({ 1, 2 }, { one:stats().lost, two:stats().lost })
    assert.same({ 1, 2 }, { #one:failures(), #two:failures() })
  end)

  it("it may be closed while a value is encoded; then nothing is sent", function()
    local producer
    local own = kafka.new { url = "http://127.0.0.1:1", encode = function()
      producer:close(0)
      return "x"
    end }
    producer = own:producer { name = support.name "life", log = false }
    for _, options in ipairs { false, { headers = { a = "b" } } } do
      assert.error_matches(function() producer:send("t", { 1 }, options or nil) end, "producer is closed")
      producer = own:producer { name = support.name "life", log = false }
    end
    assert.equal(0, producer:stats().sent)
    producer:close(0)
    own:close()
  end)

  it("the time in the texts of flush and close is what a caller says that it has waited", function()
    local producer = producer_of { linger = 60000 }
    assert(producer:send("t", "v"))
    assert.equal("1 message was not delivered within 55 ms", (select(2, producer:flush(0, 55)):gsub(": .*", "")))
    assert.equal("1 message was not delivered within 0 ms", (select(2, producer:flush(0)):gsub(": .*", "")))
    assert.equal("1 message was not delivered within 77 ms", (select(2, producer:close(0, 77)):gsub(": .*", "")))
  end)

  it("it gives its share of a sender back once, however it ends", function()
    local options = { name = support.name "shared", linger = 60000 }
    local other = producer_of(options)
    assert(other:send("t", "v"))
    local function use(closes)
      local one = producer_of(options)
      assert(one:send("t", "w"))
      if closes then assert.is_nil((one:close(0))) end
    end
    use(true)
    use(false)
    collectgarbage()
    collectgarbage()
    assert.is_nil((other:close(0))) -- the last one ends the sender
    assert.equal(3, other:stats().lost)
  end)

  describe("D2: flush and close tell how many", function()
    -- Sends that many messages of about 1 kB into a queue of 4 kB.
    local function overfilled(options, count)
      local all = { linger = 60000, queue_bytes = 4096, batch_bytes = 4096, overflow = "drop_oldest" }
      for name, value in pairs(options or {}) do all[name] = value end
      local producer = producer_of(all)
      for index = 1, count do assert(producer:send("t", ("x"):rep(1000) .. index)) end
      return producer
    end

    it("were given up, and why, and how many are pending", function()
      local producer = overfilled({}, 20)
      local stats = producer:stats()
      local pending = stats.queued + stats.in_flight
      assert.is_true(stats.dropped > 1 and pending > 1)
      local flushed, text, details = producer:flush(0)
      local reason = "the producer's queue is full"
      assert.is_nil(flushed)
      assert.equal(("%d messages were given up: %s; %d messages were not delivered within 0 ms"):format(stats.dropped,
        reason, pending), text)
      assert.same({ error = text, code = "queue_full", retriable = true, given_up = stats.dropped,
        pending = pending, first = { error = reason, code = "queue_full", retriable = true } }, details)
      -- Each message that was given up is reported once.
      flushed, text, details = producer:flush(1)
      assert.is_nil(flushed)
      assert.equal(("%d messages were not delivered within 1 ms"):format(pending),
        (text:gsub(": .*$", "")))
      assert.same({ "timeout", 0, pending }, { details.code, details.given_up, details.pending })
      assert.is_nil(details.first)
      producer:close(0)
    end)

    it("in a sentence that is right for one, too", function()
      local producer = overfilled({}, 1)
      while producer:stats().dropped == 0 do assert(producer:send("t", ("y"):rep(1000))) end
      local stats = producer:stats()
      local _, text = producer:flush(0)
      if stats.dropped == 1 then assert.truthy(text:find("^1 message was given up: "), text) end
      assert.truthy(text:find(("; %d messages were not delivered"):format(stats.queued + stats.in_flight), 1, true),
        text)
      producer:close(0)
    end)

    it("but only to those who sent them: not what was given up before", function()
      local name = support.name "alike"
      local producer, other = overfilled({ name = name }, 20), overfilled({ name = name }, 0)
      local before = producer:stats().dropped
      assert.is_true(before > 0)
      assert(other:send("t", "v")) -- may drop one itself
      local after = producer:stats().dropped
      local _, _, details = other:flush(0)
      assert.equal(after - before, details.given_up)
      _, _, details = producer:flush(0)
      assert.equal(after, details.given_up)
      other:close(0)
      _, _, details = producer:close(0)
      assert.equal(0, details.given_up)
    end)
  end)

  it("two of them share a sender if only all options are equal", function()
    local name = support.name "alike"
    local first = producer_of { name = name, topic = "t", linger = 60000 }
    assert(first:send(nil, "v"))
    -- The topic is the producer's own.
    local same = producer_of { name = name, topic = "u", linger = 60000 }
    assert(same:send(nil, "v"))
    assert.equal(2, first:stats().sent)
    for option, value in pairs { linger = 59999, batch_bytes = 1000, batch_messages = 9, in_flight = 2, gzip = true,
      message_timeout = 60000, give_up_after = 9, block_timeout = 9, flush_timeout = 1, overflow = "block",
      queue_bytes = 8192 } do
      local options = { name = name, linger = 60000 }
      options[option] = value
      local other = producer_of(options)
      assert(other:send("t", "v"))
      assert.equal(1, other:stats().sent, option)
      other:close(0)
    end
    first:close(0)
    same:close(0)
  end)
end)
