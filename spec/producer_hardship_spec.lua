--- A producer whose server is killed, hangs, loses responses or does not exist: what is stored in
-- the end, and in which order.

local canned = require "spec.support.canned_server"
local core = require "upstash.kafka.core"
local faulty_proxy = require "spec.support.faulty_proxy"
local folder = require "spec.support.folder"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

describe("a producer in hard times", function()
  local place, port, process

  setup(function() place = folder.make() end)
  teardown(function() folder.remove(place) end)

  -- Starts a server in its own process, always at the same port and with the same data.
  local function serve()
    process = shell.start(("%s serve --listen 127.0.0.1:%d --data %s/data"):format(shell.command, port or 0, place),
      { environment = { UPSTASH_KAFKA_SERVER_PASSWORD = "secret" } })
    port = tonumber(process:expect("listening on http://127%.0%.0%.1:(%d+)\n", 30))
  end

  local function connect(options)
    local all = { url = "http://127.0.0.1:" .. port, username = "kafka", password = "secret", retry_delay = 10,
      retry_delay_max = 200 }
    for key, value in pairs(options or {}) do all[key] = value end
    return kafka.new(all)
  end

  local function producer_of(client, options)
    local all = { name = support.name "hard", log = false }
    for key, value in pairs(options or {}) do all[key] = value end
    return client:producer(all)
  end

  -- The numbers in the topic, and whether their first copies are in ascending order.
  local function numbers(client, topic)
    local seen, copies, ordered, last = {}, 0, true, 0
    for message in client:records { topic = topic, partition = 0, to = "latest" } do
      local number = tonumber(message.value)
      if not seen[number] then
        ordered = ordered and number > last
        last, seen[number] = number, true
      end
      copies = copies + 1
    end
    return seen, copies, ordered
  end

  local function all_stored(client, topic, count)
    local seen, copies, ordered = numbers(client, topic)
    for number = 1, count do
      if not seen[number] then error(("%d of %d is missing"):format(number, count)) end
    end
    return copies, ordered
  end

  -- Sends ascending numbers until `done` returns true. Returns the last number.
  local function send_until(producer, topic, number, done)
    while not done() do
      for _ = 1, 50 do
        number = number + 1
        assert(producer:send(topic, tostring(number)))
      end
      core.sleep(1)
    end
    return number
  end

  local function after(milliseconds)
    local deadline = core.now() + milliseconds
    return function() return core.now() >= deadline end
  end

  local function restart(signal)
    process:signal(signal)
    process:wait(30)
    process:remove()
    serve()
  end

  for _, in_flight in ipairs { 1, 4 } do
    it("loses nothing when the server is killed under load, in_flight " .. in_flight, function()
      serve()
      local client = connect()
      local topic, number = support.name "killed", 0
      local producer = producer_of(client, { in_flight = in_flight })
      for _, signal in ipairs { "KILL", "TERM", "KILL" } do
        number = send_until(producer, topic, number, after(150))
        process:signal(signal)
        process:wait(30)
        process:remove()
        number = send_until(producer, topic, number, function() return producer:stats().trouble end)
        serve()
        number = send_until(producer, topic, number, function() return not producer:stats().trouble end)
      end
      assert(producer:flush(60000))
      local copies, ordered = all_stored(client, topic, number)
      assert.is_true(copies >= number)
      if in_flight == 1 then assert.is_true(ordered) end
      local stats = producer:stats()
      assert.same({ number, number, 0 }, { stats.sent, stats.delivered, stats.failed })
      assert.is_true(stats.retried > 0)
      assert.is_true(producer:close())
      client:close()
      process:remove()
    end)
  end

  it("survives a server that hangs", function()
    serve()
    local client = connect { timeout = 300 }
    local topic, producer = support.name "hung", producer_of(client)
    assert(producer:send(topic, "1"))
    assert(producer:flush(60000))
    process:signal "STOP"
    local number = send_until(producer, topic, 1, function() return producer:stats().retried >= 2 end)
    assert.is_truthy(producer:stats().trouble)
    process:signal "CONT"
    assert(producer:flush(60000))
    assert.is_true(select(2, all_stored(client, topic, number)))
    assert.is_true(producer:close())
    client:close()
    process:remove()
  end)

  -- With its idempotency key: what a lost response was about is not stored again.
  it("resends a request without a response", function()
    local server = support.start()
    local proxy = faulty_proxy.start(server.url, "lose /produce/ 2", "cut /produce/ 4", "refuse /produce/ 6")
    local client = kafka.new(server:access { url = proxy.url, retry_delay = 1 })
    local topic, producer = server:topic(1, 0), producer_of(client, { batch_messages = 100, linger = 60000 })
    for number = 1, 1000 do assert(producer:send(topic, tostring(number))) end
    assert(producer:flush(60000))
    producer:close()
    client:close()
    proxy.stop()
    client = server:client()
    local copies, ordered = all_stored(client, topic, 1000)
    assert.is_true(ordered)
    assert.equal(1000, copies)
    client:close()
    server:stop()
  end)

  it("A9: resends a request whose response was cut at any byte, and discards nothing", function()
    local answer = canned.answer(200, '[{"topic":"t","partition":0,"offset":0,"timestamp":1}]'):match "^send (.*)$"
    local steps = {}
    for length = 0, #answer do
      for _, step in ipairs { "accept", "read", "send " .. answer:sub(1, length), "close" } do
        steps[#steps + 1] = step
      end
    end
    local stub = canned.start(steps)
    local client = kafka.new { url = stub.url, retry_delay = 0, retry_delay_max = 0 }
    local producer = producer_of(client)
    assert(producer:send("t", "v"))
    assert(producer:flush(60000))
    local stats = producer:stats()
    producer:close()
    client:close()
    assert.equal(#answer + 1, #stub:finish())
    assert.same({ 1, 0, #answer + 1, #answer }, { stats.delivered, stats.failed, stats.requests, stats.retried })
  end)

  it("keeps within its memory while there is no server", function()
    local function resident()
      local kilobytes
      for line in io.lines "/proc/self/status" do kilobytes = kilobytes or line:match "^VmRSS:%s*(%d+) kB" end
      return tonumber(kilobytes) * 1024
    end
    local client = kafka.new { url = "http://127.0.0.1:1" }
    local producer = producer_of(client, { overflow = "drop_oldest", queue_bytes = 1048576 })
    local value = ("x"):rep(100)
    for _ = 1, 20000 do assert(producer:send("t", value)) end
    local before = resident()
    for _ = 1, 500000 do assert(producer:send("t", value)) end
    local grown = resident() - before
    local stats = producer:stats()
    assert.is_true(grown < 16 * 1048576, ("grown by %d bytes"):format(grown))
    assert.equal(520000, stats.dropped + stats.queued + stats.in_flight)
    assert.is_true(stats.bytes <= 1048576)
    producer:close(0)
    client:close()
  end)

  it("logs dropped messages while it waits for a response, at most once a second", function()
    local stub = canned.start { "accept", "read", "nobody", "nobody" }
    local worker = shell.start(("%s -e %s"):format(shell.lua, shell.quote(([[
      local core = require "upstash.kafka.core"
      local client = require("upstash.kafka").new { url = %q }
      local producer = client:producer { overflow = "drop_oldest", queue_bytes = 4096, linger = 0, flush_timeout = 0 }
      local deadline = core.now() + 2500
      while core.now() < deadline do
        assert(producer:send("t", "a value"))
        core.sleep(0.1)
      end
      assert(producer:stats().dropped > 100)
      io.stderr:write(("still running after %%d ms\n"):format(core.now() - deadline + 2500))]]):format(stub.url))))
    assert.equal(0, worker:wait(30), worker:errors())
    local before, took = worker:errors():match "^(.*)still running after (%d+) ms\n"
    worker:remove()
    stub:finish()
    local lines = 0
    for count, reason in before:gmatch "upstash%-kafka: messages discarded: (%d+); the last one: ([^\n]*)\n" do
      assert.is_true(tonumber(count) > 0)
      assert.equal("the producer's queue is full", reason)
      lines = lines + 1
    end
    assert.is_true(lines >= 2 and lines <= 2 + tonumber(took) / 1000, before)
  end)

  it("waits for a slow server, and sends nothing twice", function()
    local steps = { "accept" }
    for _ = 1, 5 do
      steps[#steps + 1] = "read"
      steps[#steps + 1] = "sleep 0.3"
      steps[#steps + 1] = canned.answer(200, '[{"topic":"t","partition":0,"offset":0,"timestamp":1}]')
    end
    steps[#steps + 1] = "close"
    local stub = canned.start(steps)
    local client = kafka.new { url = stub.url }
    local producer = producer_of(client, { batch_messages = 1 })
    for number = 1, 5 do assert(producer:send("t", tostring(number))) end
    assert.is_nil(producer:flush(100))
    assert.is_true(producer:flush(20000))
    local stats = producer:stats()
    assert.same({ 5, 5, 0 }, { stats.delivered, stats.requests, stats.retried })
    assert.is_true(stats.latency.max >= 1500 and stats.latency.p50 >= 300)
    -- the last was sent last, and waited for the others
    assert.is_true(stats.latency.p50 < stats.latency.p99)
    producer:close()
    client:close()
    for index, request in ipairs(stub:finish()) do
      assert.is_truthy(request:find('"value":"' .. index .. '"', 1, true))
    end
  end)

  it("waits as long as the server asks", function()
    local later = canned.answer(503, '{"error":"later","status":503}', { "Retry-After: 1" })
    local stub = canned.start { "accept", "read", later, "read",
      canned.answer(200, '[{"topic":"t","partition":0,"offset":0,"timestamp":1}]'), "close" }
    local client = kafka.new { url = stub.url, retry_delay = 1, retry_delay_max = 1 }
    local producer, started = producer_of(client), core.now()
    assert(producer:send("t", "v"))
    assert(producer:flush(20000))
    assert.is_true(core.now() - started >= 1000)
    producer:close()
    client:close()
    assert.equal(2, #stub:finish())
  end)

  it("tries delayed requests once, immediately, when it is closed", function()
    local later = canned.answer(503, '{"error":"later","status":503}')
    local stored = canned.answer(200, '[{"topic":"t","partition":0,"offset":0,"timestamp":1}]')
    for _, case in ipairs { { last = stored, delivered = 1 }, { last = later, delivered = 0 } } do
      local stub = canned.start { "accept", "read", later, "read", case.last, "close" }
      local client = kafka.new { url = stub.url, retry_delay = 60000, retry_delay_max = 60000 }
      local producer = producer_of(client)
      assert(producer:send("t", "v"))
      shell.eventually(20, function() return producer:stats().requests == 1 end)
      assert.equal("later", producer:stats().trouble)
      producer:close(case.delivered == 1 and 20000 or 500)
      local stats = producer:stats()
      assert.same({ case.delivered, 1 - case.delivered, 2, 1 },
        { stats.delivered, stats.lost, stats.requests, stats.retried })
      client:close()
      assert.equal(2, #stub:finish())
    end
  end)

  describe("D13: with message_timeout", function()
    local STORED = '{"topic":"t","partition":0,"offset":0,"timestamp":1}'

    -- Sends `count` messages and returns the failures and the counts.
    local function give_up(steps, count, options)
      local stub = canned.start(steps)
      local client = kafka.new { url = stub.url, retry_delay = 1, retry_delay_max = 1, timeout = 60000 }
      local all = { linger = 60000, batch_messages = count } -- one batch on a busy machine too
      for key, value in pairs(options) do all[key] = value end
      local producer = producer_of(client, all)
      for number = 1, count do assert(producer:send("t", tostring(number))) end
      local _, _, details = producer:flush(30000)
      local failures, stats = producer:failures(), producer:stats()
      producer:close(0)
      client:close()
      stub:finish()
      assert.equal(0, details and details.pending or 0)
      assert.equal(stats.failed, details and details.given_up or 0)
      assert.equal(stats.sent, stats.delivered + stats.failed)
      return failures, stats
    end

    -- Calls `attempt` with growing message_timeouts until this machine is fast enough, as `enough`
    -- decides.
    local function in_time(attempt, enough)
      local failures, stats
      for _, message_timeout in ipairs { 500, 2000, 8000 } do
        failures, stats = attempt(message_timeout)
        if enough(failures, stats) then break end
      end
      return failures, stats
    end

    -- A producer honours a Retry-After of up to a minute. The flush ends long before that.
    it("a longer Retry-After is not waited for", function()
      local later = canned.answer(503, '{"error":"later","status":503}', { "Retry-After: 100000" })
      local failures, stats = in_time(function(message_timeout)
        return give_up({ "accept", "read", later, "hold" }, 3, { message_timeout = message_timeout })
      end, function(failures) return failures[1].status == 503 end)
      assert.same({ 3, "unavailable", 503, "later" },
        { #failures, failures[1].code, failures[1].status, failures[1].error })
      assert.same({ 0, 1, 3 }, { stats.delivered, stats.requests, stats.failed })
    end)

    it("neither sent nor queued messages wait longer for a silent server", function()
      for _, in_flight in ipairs { 1, 2 } do
        local failures, stats = in_time(function(message_timeout)
          return give_up({ "accept", "read", "read" }, 10,
            { in_flight = in_flight, batch_messages = 1, message_timeout = message_timeout })
        end, function(_, stats) return stats.requests == in_flight end)
        assert.equal(10, #failures)
        for _, failure in ipairs(failures) do
          assert.same({ "timeout", "the message was not delivered within message_timeout" },
            { failure.code, failure.error })
        end
        assert.same({ 0, in_flight, 10 }, { stats.delivered, stats.requests, stats.failed })
      end
    end)

    -- Sends a message that would linger for a minute. Returns true when it was delivered.
    local function linger(message_timeout)
      local stub = canned.start { "accept", "read", canned.answer(200, "[" .. STORED .. "]"), "close" }
      local client = kafka.new { url = stub.url }
      local producer = producer_of(client, { linger = 60000, message_timeout = message_timeout })
      assert(producer:send("t", "v"))
      local stats = shell.eventually(60, function()
        local stats = producer:stats()
        return stats.delivered + stats.failed > 0 and stats
      end)
      producer:close()
      client:close()
      stub:finish()
      return stats.delivered == 1
    end

    -- On a busy machine the remaining half of its time may be too short, so there are longer ones.
    it("a message that lingers is sent before it expires", function()
      assert.is_true(linger(2000) or linger(8000) or linger(24000))
    end)
  end)

  it("sends no newer message before one that waits for a retry", function()
    local stored = canned.answer(200, '[{"topic":"t","partition":0,"offset":0,"timestamp":1}]')
    local stub = canned.start { "accept", "read", canned.answer(503, '{"error":"later","status":503}'), "read",
      "sleep 1.5", stored, "read", stored, "close" } -- the second connection is never spoken to
    -- The third message is sent before the first is due again; the first is due while the third is
    -- under way.
    local client = kafka.new { url = stub.url, retry_delay = 1000, retry_delay_max = 1000 }
    local producer = producer_of(client, { in_flight = 2, batch_messages = 1 })
    for number = 1, 8 do assert(producer:send("t", tostring(number))) end
    shell.eventually(20, function() return producer:stats().delivered >= 2 end)
    producer:close(0)
    client:close()
    local order = {}
    for index, request in ipairs(stub:finish()) do order[index] = request:match '"value":"(%d)"' end
    -- 2 has the other connection, unless it is sent after the first answer: then 3 has it.
    assert.matches("^1 [23] 1$", table.concat(order, " ", 1, 3))
  end)

  it("does not retry what the server refuses", function()
    local server = support.start { auto_create_topics = false }
    local topic = server:topic(1, 0)
    local wrong, right = server:client { password = "wrong" }, server:client()
    local producer = producer_of(wrong, { give_up_after = 0 })
    for number = 1, 10 do assert(producer:send(topic, tostring(number))) end
    assert.equal("10 messages were given up: no or wrong credentials", select(2, producer:flush(20000)))
    local failures = producer:failures()
    assert.same({ 10, "unauthorized", 401 }, { #failures, failures[1].code, failures[1].status })
    assert.equal(1, producer:stats().requests)
    producer:close()

    producer = producer_of(right)
    for number = 1, 10 do
      assert(producer:send(topic, tostring(number)))
      assert(producer:send("not-there", "x"))
    end
    assert.equal(10, select(3, producer:flush(20000)).given_up)
    failures = producer:failures()
    assert.same({ 10, "not_found", "x" }, { #failures, failures[10].code, failures[10].message.value })
    assert.is_true(select(2, all_stored(right, topic, 10)))
    producer:close()
    wrong:close()
    right:close()
    server:stop()
  end)

  -- D2: as during an outage. The right answer comes after two refusals.
  for _, row in ipairs { { 401, "no or wrong credentials" }, { 403, "the credentials do not permit this" } } do
    it("D2: waits while the server answers " .. row[1] .. ", and delivers then", function()
      local refusal = canned.answer(row[1], ('{"error":"%s","status":%d}'):format(row[2], row[1]))
      local stub = canned.start { "accept", "read", refusal, "read", refusal, "read",
        canned.answer(200, '[{"topic":"t","partition":0,"offset":0,"timestamp":1}]'), "close" }
      local client = kafka.new { url = stub.url, retry_delay = 1, retry_delay_max = 1 }
      local producer = producer_of(client, { linger = 0 })
      assert(producer:send("t", "v"))
      assert.is_true(producer:flush(30000))
      assert.same({ 1, 0, 3, 2 }, { producer:stats().delivered, producer:stats().failed, producer:stats().requests,
        producer:stats().retried })
      producer:close()
      client:close()
      stub:finish()
    end)
  end

  it("D2: a flush says why messages wait, before they are given up", function()
    local server = support.start()
    local program = [[
      local kafka = require "upstash.kafka"
      local producer = kafka.new { password = "wrong", retry_delay = 5, retry_delay_max = 5 }:producer { topic = "t",
        give_up_after = 600000, linger = 0 }
      for number = 1, 1000 do assert(producer:send(nil, "v" .. number)) end
      local flushed, message, details
      repeat
        flushed, message, details = producer:flush(50)
      until flushed or message:find "credentials" and producer:stats().requests > 1
      print(flushed, message, details.code, details.given_up, details.pending)
      producer:close(0)
    ]]
    local line = shell.lua .. " -e " .. shell.quote(program)
    local status, out, err = shell.run(line, { environment = server:environment() })
    assert.equal(0, status, err)
    assert.equal("nil	1000 messages were not delivered within 50 ms: no or wrong credentials	timeout	0	1000\n",
      (out:gsub("%f[%d]([%d]+)%.0%f[%D]", "%1")))
    server:stop()
  end)

  it("D2: gives up after give_up_after, says how many and why, and logs each once", function()
    local server = support.start()
    local program = [[
      local kafka = require "upstash.kafka"
      -- So slowly that the server does not delay the logins (429).
      local client = kafka.new { password = "wrong", retry_delay = 100, retry_delay_max = 100 }
      local producer = client:producer { topic = "t", give_up_after = 200, linger = 20 }
      for number = 1, 1000 do assert(producer:send(nil, "v" .. number)) end
      local flushed, message, details = producer:flush(60000)
      print(flushed, message, details.code, details.status, details.given_up, details.pending, details.first.error)
      print(producer:flush(), producer:close())
    ]]
    local line = shell.lua .. " -e " .. shell.quote(program)
    local status, out, err = shell.run(line, { environment = server:environment() })
    assert.equal(0, status, err)
    assert.equal("nil	1000 messages were given up: no or wrong credentials	unauthorized	401	1000	0	"
      .. "no or wrong credentials\n"
      .. "true	true\n", (out:gsub("%f[%d]([%d]+)%.0%f[%D]", "%1")))
    local logged = 0 -- one line, or one for each second that it takes
    for each in err:gmatch "[^\n]+" do
      local count = each:match "^upstash%-kafka: messages discarded: (%d+); the last one: no or wrong credentials$"
      logged = logged + assert(tonumber(count), err)
    end
    assert.equal(1000, logged)
    server:stop()
  end)

  it("D2: logs once a minute that the server refuses, and at the end the rest", function()
    local server = support.start()
    local program = [[
      local core = require "upstash.kafka.core"
      local producer = require("upstash.kafka").new { password = "wrong" }:producer { topic = "t", give_up_after = 0,
        linger = 0 }
      for number = 1, 3 do
        if number > 1 then core.sleep(1050) end -- more than a second, after which other lines are logged
        assert(producer:send(nil, "v"))
        assert(producer:flush(60000) == nil)
      end
      producer:close()
    ]]
    local line = shell.lua .. " -e " .. shell.quote(program)
    local status, _, err = shell.run(line, { environment = server:environment() })
    assert.equal(0, status, err)
    local text = "upstash-kafka: messages discarded: %d; the last one: no or wrong credentials\n"
    assert.equal(text:format(1) .. text:format(2), err)
    server:stop()
  end)

  it("D2: close says how many it lost, and how many were given up before", function()
    local stub = canned.start { "accept", "read", canned.answer(400, '{"error":"bad","status":400}'), "read", "hold" }
    local client = kafka.new { url = stub.url }
    local producer = producer_of(client, { batch_messages = 1, linger = 0 })
    for _ = 1, 3 do assert(producer:send("t", "v")) end
    shell.eventually(10, function() return producer:stats().failed == 1 end)
    local closed, message, details = producer:close(50)
    assert.is_nil(closed)
    assert.equal("1 message was given up: bad; 2 messages were not delivered within 50 ms", message)
    assert.same({ "bad_request", 1, 2 }, { details.code, details.given_up, details.pending })
    client:close()
    stub:finish()
  end)

  it("resends only the part of a batch that was not stored", function()
    local function stored(offset) return ('{"topic":"t","partition":0,"offset":%d,"timestamp":1}'):format(offset) end
    local results = '{"error":"[1]: too large; 2 of 4 messages failed, the others are stored","status":413,' ..
      '"results":[' .. stored(0) .. ',{"error":"too \\"large\\"","status":413},' .. stored(1) ..
      ',{"error":"not now","status":503}]}'
    local stub = canned.start { "accept", "read", canned.answer(413, results), "read",
      canned.answer(200, "[" .. stored(2) .. "]"), "close" }
    local client = kafka.new { url = stub.url, retry_delay = 1, retry_delay_max = 1 }
    local producer = producer_of(client, { linger = 60000 })
    for number = 1, 4 do assert(producer:send("t", tostring(number), { timestamp = 1 })) end
    assert.equal('1 message was given up: too "large"', select(2, producer:flush(20000)))
    local failures, stats = producer:failures(), producer:stats()
    assert.is_true(producer:close())
    client:close()
    local requests = stub:finish()
    assert.equal(2, #requests)
    assert.is_truthy(requests[2]:find('\n[{"timestamp":1,"value":"4"}]', 1, true), requests[2])
    assert.are_not.equal(requests[1]:match "Idempotency%-Key: (%S+)", requests[2]:match "Idempotency%-Key: (%S+)")
    assert.same({ 3, 1, 1 }, { stats.delivered, stats.failed, #failures })
    assert.same({ "2", "too_large", 'too "large"', 413 },
      { failures[1].message.value, failures[1].code, failures[1].error, failures[1].status })
  end)

  it("does not count a message as stored after a malformed response", function()
    local stub = canned.start { "accept", "read", canned.answer(200, "<html>"), "read", canned.answer(200, "[]"),
      "read", canned.answer(200, "[{}]"), "read", canned.answer(200, '[{"error":"no","status":400}]'), "close" }
    local client = kafka.new { url = stub.url }
    local producer = producer_of(client, { batch_messages = 1 })
    for number = 1, 4 do assert(producer:send("t", tostring(number))) end
    assert.equal(4, select(3, producer:flush(20000)).given_up)
    local failures = producer:failures()
    assert.same({ 4, 0 }, { #failures, producer:stats().delivered })
    for index = 1, 4 do assert.equal("bad_response", failures[index].code) end
    assert.equal("the response: a failure among the metadata", failures[4].error)
    assert.equal("the response: metadata of 1 messages expected, got 0", failures[2].error)
    producer:close()
    client:close()
    stub:finish()
  end)

  it("delivers at the end of a process what it could not deliver before", function()
    serve()
    local topic, done = support.name "ending", place .. "/done"
    local environment = { UPSTASH_KAFKA_REST_URL = "http://127.0.0.1:" .. port, UPSTASH_KAFKA_REST_USERNAME = "kafka",
      UPSTASH_KAFKA_REST_PASSWORD = "secret" }
    local worker = shell.start(("%s -e %s"):format(shell.lua, shell.quote(([[
      local kafka, core = require "upstash.kafka", require "upstash.kafka.core"
      local producer, number = kafka.producer { topic = %q, log = false }, 0
      repeat
        number = number + 1
        assert(producer:send(nil, tostring(number)))
        core.sleep(1)
      until io.open(%q)
      print("sent " .. number)]]):format(topic, done))), { environment = environment })
    core.sleep(50)
    restart "KILL"
    folder.write(done, "")
    assert.equal(0, worker:wait(30), worker:errors())
    local number = tonumber(worker:expect "sent (%d+)")
    worker:remove()
    local client = connect()
    assert.is_true(select(2, all_stored(client, topic, number)))
    client:close()
    process:remove()
  end)
end)
