--- The limits of a producer, each at the limit and one past it.

local canned = require "spec.support.canned_server"
local core = require "upstash.kafka.core"
local kafka = require "upstash.kafka"
local support = require "spec.support.server"

local STORED = '[{"topic":"t","partition":0,"offset":0,"timestamp":1}]'

describe("a producer's limits:", function()
  -- Sends one message, whose response is `answer`. Returns the stats and failures.
  local function answered(answer, options)
    local stub = canned.start { "accept", "read", answer, "close" }
    local all = { url = stub.url, retries = 0 }
    for name, value in pairs(options) do all[name] = value end
    local client = kafka.new(all)
    local producer = client:producer { name = support.name "limits", log = false, linger = 0,
      message_timeout = 30000 }
    assert(producer:send("t", "v"))
    producer:flush(60000)
    local stats, failures = producer:stats(), producer:failures()
    producer:close(0)
    client:close()
    stub:finish()
    return stats, failures
  end

  it("F8: a response of max_response_bytes is accepted; one byte more is too large", function()
    local stats = answered(canned.answer(200, STORED), { max_response_bytes = #STORED })
    assert.same({ 1, 0 }, { stats.delivered, stats.failed })
    local failures
    stats, failures = answered(canned.answer(200, STORED .. " "), { max_response_bytes = #STORED })
    assert.same({ 0, 1 }, { stats.delivered, stats.failed })
    assert.equal("response_too_large", failures[1].code)
  end)

  it("F8: a chunked response is also cut off at max_response_bytes", function()
    local head = "send HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    local function chunk(text) return ("%x\r\n%s\r\n"):format(#text, text) end
    local stats = answered(head .. chunk(STORED) .. "0\r\n\r\n", { max_response_bytes = #STORED })
    assert.equal(1, stats.delivered)
    local failures
    stats, failures = answered(head .. chunk(STORED) .. chunk " " .. "0\r\n\r\n", { max_response_bytes = #STORED })
    assert.equal(0, stats.delivered)
    assert.equal("response_too_large", failures[1].code)
  end)

  it("each option is accepted at its limits and refused past them", function()
    local client = kafka.new { url = "http://127.0.0.1:1" }
    local function make(name, value)
      local options = { log = false, flush_timeout = 0 }
      options[name] = value
      local producer = client:producer(options)
      producer:close(0)
    end
    for name, range in pairs {
      queue_bytes = { 4096, 2 ^ 30 }, batch_bytes = { 1, 16 * 2 ^ 20 }, batch_messages = { 1, 100000 },
      linger = { 0, 60000 }, in_flight = { 1, 64 }, message_timeout = { 0, 86400000 }, block_timeout = { 0, 86400000 },
      give_up_after = { 0, 86400000 }, flush_timeout = { 0, 2000 },
    } do
      local text = ("%s: integer from %d to %d expected"):format(name, range[1], range[2])
      if name ~= "queue_bytes" then make(name, range[2]) end -- a GiB
      make(name, range[1])
      for _, past in ipairs { range[1] - 1, range[2] + 1 } do
        local fine, problem = pcall(make, name, past)
        assert.is_false(fine)
        assert.truthy(problem:find(text, 1, true), problem)
      end
    end
    make("name", ("n"):rep(64))
    assert.has_error(function() make("name", ("n"):rep(65)) end,
      "bad argument #1 to 'producer' (name: at most 64 bytes expected)")
    client:close()
  end)

  it("a request has at most batch_messages, and the rest goes in the next", function()
    local server = support.start()
    local client = server:client()
    local topic = server:topic(1, 0)
    local producer = client:producer { name = support.name "limits", batch_messages = 3, linger = 60000 }
    for number = 1, 7 do assert(producer:send(topic, tostring(number))) end
    assert.is_true(producer:flush(60000))
    local stats = producer:stats()
    assert.same({ 7, 3 }, { stats.delivered, stats.requests })
    producer:close()
    client:close()
    server:stop()
  end)

  it("a batch does not wait for more than half of the queue", function()
    local server = support.start()
    local client = server:client()
    local topic = server:topic(1, 0)
    local producer = client:producer { name = support.name "limits", queue_bytes = 4096, batch_bytes = 4096,
      linger = 60000 }
    for number = 1, 5 do assert(producer:send(topic, tostring(number) .. ("x"):rep(500))) end
    local deadline = core.now() + 30000
    while producer:stats().delivered == 0 and core.now() < deadline do core.sleep(5) end
    assert.is_true(producer:stats().delivered > 0)
    producer:close()
    client:close()
    server:stop()
  end)

  it("a message that is too large is discarded alone, and the rest of its batch is delivered", function()
    local server = support.start { max_message_bytes = 1000 }
    local client = server:client()
    local topic = server:topic(1, 0)
    local producer = client:producer { name = support.name "limits", log = false, linger = 60000 }
    for number, length in ipairs { 10, 1000, 1001, 20 } do
      assert(producer:send(topic, tostring(number) .. ("x"):rep(length - 1)))
    end
    assert.equal(1, select(3, producer:flush(60000)).given_up)
    local failures, stats = producer:failures(), producer:stats()
    assert.same({ 3, 1 }, { stats.delivered, stats.failed })
    assert.same({ "too_large", 413, 1001 }, { failures[1].code, failures[1].status, #failures[1].message.value })
    local lengths = {}
    for index, message in ipairs(assert(client:fetch(topic, 0, 0))) do lengths[index] = #message.value end
    assert.same({ 10, 1000, 20 }, lengths)
    producer:close()
    client:close()
    server:stop()
  end)

  it("a request that is too large is sent in parts", function()
    local server = support.start { max_body_bytes = 3000 }
    local client = server:client()
    local topic = server:topic(1, 0)
    local producer = client:producer { name = support.name "limits", log = false, linger = 60000 }
    for _ = 1, 10 do assert(producer:send(topic, ("x"):rep(1000))) end
    assert.is_true(producer:flush(60000))
    assert.same({ 10, 0 }, { producer:stats().delivered, producer:stats().failed })
    assert.equal(10, #assert(client:fetch(topic, 0, 0)))
    producer:close()
    client:close()
    server:stop()
  end)

  it("1000 failures are kept, the others are counted", function()
    local stub = canned.start { "accept", "read", canned.answer(403, '{"error":"no","status":403}'), "close" }
    local client = kafka.new { url = stub.url, retries = 0 }
    local producer = client:producer { name = support.name "limits", log = false, linger = 60000,
      message_timeout = 1000, batch_messages = 2000 }
    for _ = 1, 1001 do assert(producer:send("t", "v")) end
    producer:flush(60000)
    assert.equal(1001, producer:stats().failed)
    local failures, missed = producer:failures()
    assert.same({ 1000, 1 }, { #failures, missed })
    producer:close(0)
    client:close()
    stub:finish()
  end)
end)
