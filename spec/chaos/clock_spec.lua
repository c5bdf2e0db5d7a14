-- for: clock.c, log_clock.c, log_keys.c, sender.c. The wall clock jumps back and forward, in the
-- server and in a client: order and timers hold. Where time has to pass, the test moves the
-- monotonic clock.

local chaos = require "spec.support.chaos"
local cjson = require "cjson"
local http = require "spec.support.http"
local moved_clock = require "spec.support.moved_clock"
local shell = require "spec.support.shell"

local SECOND, HOUR, DAY = 1000, 3600000, 86400000
local JUMPS = { -HOUR, DAY, -2 * DAY, HOUR, 30 * DAY }

if moved_clock.missing() then return pending(moved_clock.missing()) end

describe("when the wall clock jumps,", function()
  local clock, run, client

  before_each(function()
    clock = moved_clock.new()
    run = chaos.start("log", { environment = { LD_PRELOAD = clock.library, MOVED_CLOCK = clock.path } })
    client = http.client(run.url, "chaos", "secret")
  end)

  after_each(function()
    client:close()
    run:remove()
    clock:remove()
  end)

  local function post(path, body, headers)
    return client:request("POST", path, { body = cjson.encode(body), headers = headers })
  end

  local function produce(value, key)
    local response = post("/produce/" .. run.topic, { value = value, partition = 0 },
      { ["Idempotency-Key"] = key })
    assert.equal(200, response.status, response.body)
    return cjson.decode(response.body)[1], response.headers["idempotent-replayed"]
  end

  local READ = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Session-Timeout-Ms"] = "60000" }

  local function consume(timeout, max_messages)
    local response = post("/consume/g/one", { topic = run.topic, timeout = timeout, max_messages = max_messages }, READ)
    assert.equal(200, response.status, response.body)
    return cjson.decode(response.body)
  end

  it("offsets and deliveries keep their order", function()
    for index, jump in ipairs(JUMPS) do
      clock:jump(jump)
      assert.equal(index - 1, produce("v" .. index).offset)
    end
    for index in ipairs(JUMPS) do
      local messages = consume(1000, 1)
      assert.equal("v" .. index, messages[1].value)
    end
  end)

  it("a consume waits on, and ends at its timeout", function()
    consume(0)
    for index, jump in ipairs(JUMPS) do
      local waiting = client:start("POST", "/consume/g/one", { headers = READ,
        body = cjson.encode { topic = run.topic, timeout = 600000 } })
      clock:jump(jump)
      http.sleep(0.2)
      assert.is_true(waiting.connection:reusable()) -- nothing has come
      produce("v" .. index)
      http.collect { waiting }
      assert.equal("v" .. index, cjson.decode(waiting.response.body)[1].value)
      local ending = client:start("POST", "/consume/g/one", { headers = READ,
        body = cjson.encode { topic = run.topic, timeout = 100 } })
      clock:jump(-jump)
      http.collect { ending }
      assert.equal("[]", ending.response.body)
    end
  end)

  it("an instance lives as long as its session", function()
    local function is_alive() return client:request("GET", "/consumers").body:find('"one"', 1, true) ~= nil end
    for _, jump in ipairs(JUMPS) do
      consume(0)
      clock:jump(jump)
      clock:pass(30 * SECOND)
      consume(0)
      clock:pass(50 * SECOND)
      assert.is_true(is_alive())
      clock:pass(11 * SECOND)
      shell.eventually(10, function() return not is_alive() end)
    end
  end)

  it("an idempotency key is kept for its window", function()
    for index, jump in ipairs { -HOUR, HOUR } do
      local key = "key-" .. index
      local first = produce("v", key)
      clock:jump(jump)
      local again, replayed = produce("v", key)
      assert.equal("true", replayed)
      assert.equal(first.offset, again.offset)
    end
  end)
end)

describe("when the wall clock of a client jumps,", function()
  local clock, run, process

  before_each(function()
    clock = moved_clock.new()
    run = chaos.start "log"
  end)

  after_each(function()
    if process then process:remove() end
    run:remove()
    clock:remove()
  end)

  -- Runs a chunk in a process with a client, `producer` and a function `await(line)` that waits for
  -- a file of that name.
  local function start(options, chunk)
    local environment = run:environment()
    environment.LD_PRELOAD, environment.MOVED_CLOCK = clock.library, clock.path
    local code = ([[
      local kafka, core = require "upstash.kafka", require "upstash.kafka.core"
      local client = kafka.new { retry_delay_max = 100 }
      local producer = client:producer { topic = "%s", log = false, %s }
      local function await(name)
        while not io.open("%s/" .. name) do core.sleep(5) end
      end
      io.stdout:setvbuf "no"
      %s
    ]]):format(run.topic, options, run.place, chunk)
    process = shell.start(shell.lua .. " -e " .. shell.quote(code), { environment = environment })
  end

  local function touch(name)
    local file = assert(io.open(run.place .. "/" .. name, "w"))
    file:close()
  end

  it("messages linger as long as they should", function()
    start("linger = 60000", [[
      local quick = client:producer { topic = "chaos", log = false, linger = 1000, name = "quick" }
      producer:send "a"
      quick:send "b"
      print "sent"
      await "jumped"
      while quick:stats().delivered == 0 do core.sleep(5) end
      print("delivered 1, and " .. producer:stats().delivered)
    ]])
    process:expect "sent\n"
    for _, jump in ipairs(JUMPS) do clock:jump(jump) end
    clock:jump(-40 * DAY)
    touch "jumped"
    process:expect "delivered 1, and 0\n"
  end)

  it("messages expire when they should", function()
    run:kill_server()
    start("message_timeout = 60000", [[
      producer:send "a"
      print "sent"
      await "jumped"
      core.sleep(300)
      print("failed " .. producer:stats().failed)
      await "passed"
      while producer:stats().failed == 0 do core.sleep(5) end
      print("expired " .. producer:failures()[1].message.value)
    ]])
    process:expect "sent\n"
    clock:jump(DAY)
    touch "jumped"
    process:expect "failed 0\n"
    clock:jump(-2 * DAY)
    clock:pass(61 * SECOND)
    touch "passed"
    process:expect "expired a\n"
    run:start_server()
  end)
end)
