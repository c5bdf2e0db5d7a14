--- Repeats produces with their Idempotency-Key after the server was killed: each is stored once.

local folder = require "spec.support.folder"
local http = require "spec.support.http"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"

describe("an idempotency key", function()
  local place, port, server, client

  local function serve(options)
    server = shell.start(("%s serve --listen 127.0.0.1:%d --data %s/data %s"):format(
      shell.command, port, place, options or ""), { environment = { UPSTASH_KAFKA_SERVER_PASSWORD = "secret" } })
    port = tonumber(server:expect "listening on http://127%.0%.0%.1:(%d+)\n")
    client = http.client("http://127.0.0.1:" .. port, "kafka", "secret")
  end

  local function stop(signal)
    server:signal(signal)
    server:wait(20)
    local errors = server:errors()
    server:remove()
    return errors
  end

  local function request(key, value)
    return "POST", "/produce/t", { headers = { ["Idempotency-Key"] = key }, body = ('{"value":"%s"}'):format(value) }
  end

  local function answer(key, value)
    local response = client:request(request(key, value))
    return response.status, response.headers["idempotent-replayed"], response.body
  end

  -- How often each value is stored.
  local function stored()
    local reader = kafka.new { url = "http://127.0.0.1:" .. port, username = "kafka", password = "secret" }
    local counts = {}
    for message in reader:records { topic = "t", partition = 0, to = "latest" } do
      counts[message.value] = (counts[message.value] or 0) + 1
    end
    reader:close()
    return counts
  end

  before_each(function()
    place, port = folder.make(), 0
  end)

  after_each(function()
    if server then server:remove() end
    server = nil
    folder.remove(place)
  end)

  it("outlives kill -9 and SIGTERM", function()
    serve()
    local status, replayed, body = answer("one", "a")
    assert.equal(200, status)
    assert.is_nil(replayed)
    for _, signal in ipairs { "KILL", "TERM" } do
      stop(signal)
      serve()
      assert.same({ 200, "true", body }, { answer("one", "a") })
      assert.equal(422, (answer("one", "b")))
    end
    assert.same({ a = 1 }, stored())
  end)

  it("makes a produce safe to repeat whose answer was lost in a kill -9", function()
    local once, count, replays = {}, 0, 0
    serve()
    for round = 1, 5 do
      local sent = {}
      for _ = 1, 40 do
        count = count + 1
        once["value " .. count] = 1
        sent[#sent + 1] = count
        client:start(request("key-" .. count, "value " .. count)) -- whatever becomes of it
      end
      http.sleep(0.003 * round)
      stop "KILL"
      serve()
      for _, index in ipairs(sent) do
        local status, replayed = answer("key-" .. index, "value " .. index)
        assert.equal(200, status)
        if replayed then replays = replays + 1 end
      end
    end
    assert.same(once, stored())
    assert.is_true(replays > 0)
  end)

  it("ends with the window, and means nothing with a window of 0", function()
    serve "--idempotency-window 0"
    answer("one", "a")
    local status, replayed = answer("one", "a")
    assert.equal(200, status)
    assert.is_nil(replayed)
    stop "TERM"
    serve "--idempotency-window 1"
    answer("two", "b")
    assert.equal("true", (select(2, answer("two", "b"))))
    shell.eventually(20, function() return select(2, answer("two", "b")) == nil end)
    assert.same({ a = 2, b = 2 }, stored())
  end)
end)
