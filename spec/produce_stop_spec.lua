-- For: input_lua.c, signals_lua.c. `upstash-kafka produce` that a signal stops, as a process.

local canned = require "spec.support.canned_server"
local folder = require "spec.support.folder"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

describe("D1: produce that must stop", function()
  local server, client, place

  setup(function()
    server = support.start()
    client = server:client()
  end)
  teardown(function()
    client:close()
    server:stop()
  end)
  before_each(function()
    place = folder.make()
    assert(os.execute(("mkfifo '%s/in'"):format(place)))
  end)
  after_each(function() folder.remove(place) end)

  -- Starts the command with a standard input that never ends. `input` is what another process
  -- writes to it, as a shell command.
  local function start(words, environment, input)
    local line = ("%s produce %s 0<>'%s/in'"):format(shell.command, words, place)
    if input then line = "sh -c " .. shell.quote(("%s >'%s/in' 2>&- & exec %s"):format(input, place, line)) end
    return shell.start(line, { environment = environment })
  end

  -- Writes a short text at once, so that the command reads it at once.
  local function write(text)
    folder.write(place .. "/text", text)
    assert(os.execute(("cat '%s/text' >'%s/in'"):format(place, place)))
  end

  local function values_of(topic)
    local values = {}
    for message in client:records { topic = topic, partition = 0, to = "latest" } do
      values[#values + 1] = message.value
    end
    return values
  end

  local function end_of(topic)
    return assert(client:offsets("latest", { topic = topic, partition = 0 }))[1].offset
  end

  for _, row in ipairs { { "TERM", 0 }, { "INT", 130 }, { "HUP", 0 } } do
    local name = row[1]
    it("says how much it has delivered after " .. name .. ", while it waits for input", function()
      if name == "HUP" and shell.ignores_hang_up() then return pending "needs a SIGHUP that is not ignored" end
      local topic = server:topic(1, 0)
      local process = start(topic, server:environment())
      write "a\nb\n"
      shell.eventually(10, function() return end_of(topic) == 2 end)
      process:signal(name)
      assert.equal(row[2], process:wait())
      assert.equal(("upstash-kafka: stopped by SIG%s; produced 2 messages to %s\n"):format(name, topic),
        process:errors())
      assert.same({ "a", "b" }, values_of(topic))
      process:remove()
    end)
  end

  it("does not produce the beginning of a line, and says so", function()
    local topic = server:topic(1, 0)
    local process = start(topic, server:environment())
    write "a\ncut"
    shell.eventually(10, function() return end_of(topic) == 1 end)
    process:signal "TERM"
    assert.equal(0, process:wait())
    assert.equal(("upstash-kafka: stopped by SIGTERM; produced 1 message to %s; "):format(topic)
      .. "the last line had not ended and was not produced\n", process:errors())
    assert.same({ "a" }, values_of(topic))
    process:remove()
  end)

  it("stops in the middle of an input that never pauses, and counts exactly", function()
    local topic = server:topic(1, 0)
    local process = start(topic, server:environment(), "yes x")
    shell.eventually(10, function() return end_of(topic) > 0 end)
    process:signal "TERM"
    assert.equal(0, process:wait())
    local count = process:errors():match "^upstash%-kafka: stopped by SIGTERM; produced ([%d,]+) messages? to "
    assert.truthy(count, process:errors())
    assert.equal(end_of(topic), tonumber((count:gsub(",", ""))))
    process:remove()
  end)

  it("C1: goes on after a SIGHUP that it was started to ignore, as by nohup", function()
    local topic = server:topic(1, 0)
    local line = ("trap '' HUP; exec %s produce %s 0<>'%s/in'"):format(shell.command, topic, place)
    local process = shell.start("sh -c " .. shell.quote(line), { environment = server:environment() })
    write "a\n"
    shell.eventually(10, function() return end_of(topic) == 1 end)
    process:signal "HUP"
    write "b\n"
    shell.eventually(10, function() return end_of(topic) == 2 or process:ended() end)
    process:signal "TERM"
    assert.equal(0, process:wait())
    assert.equal(("upstash-kafka: stopped by SIGTERM; produced 2 messages to %s\n"):format(topic), process:errors())
    process:remove()
  end)

  local ANSWER = canned.answer(200, '[{"topic":"t","partition":0,"offset":0,"timestamp":1}]')

  -- The command has read two lines, and the first request waits for its answer.
  local function start_with_a_request()
    local slow = canned.start { "accept", "read", "mark", "await " .. place .. "/go", ANSWER, "read", ANSWER, "gone" }
    local process = start("t --batch 1", { UPSTASH_KAFKA_REST_URL = slow.url, UPSTASH_KAFKA_REST_USERNAME = "u",
      UPSTASH_KAFKA_REST_PASSWORD = "p" })
    write "a\nb\nc"
    slow:await()
    return process, slow
  end

  it("delivers the lines that it has read when the signal comes in the middle of a request", function()
    local process, slow = start_with_a_request()
    process:signal "TERM"
    folder.write(place .. "/go", "")
    assert.equal(0, process:wait())
    assert.equal("upstash-kafka: stopped by SIGTERM; produced 2 messages to t; "
      .. "the last line had not ended and was not produced\n", process:errors())
    local log = slow:finish()
    assert.equal(2, #log)
    assert.truthy(log[1]:find('"value":"a"', 1, true), log[1])
    assert.truthy(log[2]:find('"value":"b"', 1, true), log[2])
    process:remove()
  end)

  it("ends at once at a second signal", function()
    local process, slow = start_with_a_request()
    process:signal "TERM"
    process:signal "INT"
    local status = process:wait()
    assert.is_true(status == 128 + 15 or status == 128 + 2, tostring(status)) -- in either order
    assert.equal("", process:errors())
    folder.write(place .. "/go", "")
    slow:finish()
    process:remove()
  end)

  it("says what was not delivered if the server fails after the signal", function()
    local slow = canned.start { "accept", "read", "mark", "await " .. place .. "/go",
      canned.answer(400, '{"error":"no","status":400}'), "gone" }
    local process = start("t", { UPSTASH_KAFKA_REST_URL = slow.url, UPSTASH_KAFKA_REST_USERNAME = "u",
      UPSTASH_KAFKA_REST_PASSWORD = "p" })
    write "a\nb\n"
    slow:await()
    process:signal "TERM"
    folder.write(place .. "/go", "")
    assert.equal(1, process:wait())
    assert.equal("upstash-kafka: lines 1 to 2 were not produced: no; no line was produced\n", process:errors())
    slow:finish()
    process:remove()
  end)
end)
