-- Loops that stop(), or a signal, ends: against a server, and workers in processes of their own.
-- For: signals_lua.c.

local core = require "upstash.kafka.core"
local folder = require "spec.support.folder"
local free_port = require "spec.support.free_port"
local server_support = require "spec.support.server"
local shell = require "spec.support.shell"

-- STOP_ROUNDS is how many workers are stopped under load. With STOP_REPORT the spec prints how long
-- things took.
local ROUNDS = tonumber(os.getenv "STOP_ROUNDS" or 10)
local WORKERS = 10
local LONG = 600000 -- milliseconds: no test waits for the end of such a poll

local server, folders = nil, {}

local function new_folder()
  local place = folder.make()
  folders[#folders + 1] = place
  return place
end

-- A worker's arguments after the topic: the file, the time of a body, the timeout of a poll.
local function start_worker(group, name, topic, ...)
  local words = shell.words { "spec/support/stopped_worker.lua", group, name, topic, ... }
  local worker = shell.start(shell.lua .. " " .. words, { environment = server:environment() })
  worker.name = name
  return worker
end

local function got_by(path)
  local values = {}
  for line in (folder.read(path) or ""):gmatch "[^\n]+" do values[#values + 1] = line:match "^%S+" end
  return values
end

describe("D1: a loop that must stop", function()
  setup(function() server = server_support.start() end)
  teardown(function() server:stop() end)
  after_each(function()
    for _, place in ipairs(folders) do folder.remove(place) end
    folders = {}
  end)

  local function options_of(topic, more)
    local options = { group = "group-of-" .. topic, instance = "one", topic = topic, from = "earliest" }
    for key, value in pairs(more or {}) do options[key] = value end
    return options
  end

  it("ends after the message in hand, commits it, and leaves the group", function()
    local topic, client = server:topic(1, 5), server:client()
    local next_message, loop = client:messages(options_of(topic))
    local seen = {}
    for message in next_message, loop do
      seen[#seen + 1] = message.value
      assert.is_false(loop:stopped())
      if #seen == 2 then
        loop:stop()
        assert.is_true(loop:stopped())
      end
    end
    assert.same({ "1", "2" }, seen)
    assert.is_true(loop:stopped())
    assert.equal(2, server:committed("group-of-" .. topic, topic))
    assert.same({}, server:instances("group-of-" .. topic))
    assert.is_nil(next_message(loop))
    client:close()
  end)

  it("ends after the batch in hand", function()
    local topic, client = server:topic(1, 5), server:client()
    local next_batch, loop = client:batches(options_of(topic, { max_messages = 2 }))
    local seen = 0
    for batch in next_batch, loop do
      seen = seen + #batch
      if seen == 4 then loop:stop() end
    end
    assert.equal(4, seen)
    assert.equal(4, server:committed("group-of-" .. topic, topic))
    client:close()
  end)

  it("over a partition ends after the message in hand", function()
    local topic, client = server:topic(1, 5), server:client()
    local next_record, loop = client:records { topic = topic, partition = 0 }
    local seen = 0
    for _ in next_record, loop do
      seen = seen + 1
      if seen == 3 then loop:stop() end
    end
    assert.equal(3, seen)
    assert.is_true(loop:stopped())
    client:close()
  end)

  it("can be stopped by another coroutine, and before it begins", function()
    local topic, client = server:topic(1, 3), server:client()
    local next_message, loop = client:messages(options_of(topic))
    local reader = coroutine.wrap(function()
      for message in next_message, loop do coroutine.yield(message.value) end
      return "ended"
    end)
    assert.equal("1", reader())
    loop:stop()
    assert.equal("ended", reader())
    assert.equal(1, server:committed("group-of-" .. topic, topic))
    local next_other, other = client:messages(options_of(topic))
    other:stop()
    assert.is_nil(next_other(other))
    assert.equal(1, server:committed("group-of-" .. topic, topic))
    client:close()
  end)

  it("that ends by itself was not stopped", function()
    local topic, client = server:topic(1, 1), server:client()
    local next_message, loop = client:messages(options_of(topic, { limit = 1, stop_on_signal = true }))
    for _ in next_message, loop do assert.is_false(loop:stopped()) end
    assert.is_false(loop:stopped())
    client:close()
  end)

  it("raises if its last commit fails", function()
    local topic, client = server:topic(1, 2), server:client { retries = 0 }
    local next_message, loop = client:messages(options_of(topic))
    assert.equal("1", next_message(loop).value)
    assert(server:client():delete_topic(topic))
    loop:stop()
    local fine, failure = pcall(next_message, loop)
    assert.is_false(fine)
    assert.equal("not_found", failure.code)
    assert.same({}, server:instances("group-of-" .. topic))
    client:close()
  end)

  it("refuses signals that it does not know", function()
    local client = server:client()
    for _, row in ipairs { { 5, "number" }, { "TERM", "'TERM'" }, { { "KILL" }, "table" }, { {}, "table" },
      { { "TERM", 1 }, "table" } } do
      local fine, text = pcall(client.messages, client, options_of("t", { stop_on_signal = row[1] }))
      assert.is_false(fine)
      local expected = "stop_on_signal: boolean or list of INT, TERM, HUP, QUIT, USR1 and USR2 expected, got "
      assert.truthy(text:find(expected .. (type(row[1]) == "number" and "5" or row[2]), 1, true), text)
    end
    client:close()
  end)

  for _, name in ipairs { "TERM", "INT" } do
    it("ends soon after " .. name .. ", in the middle of a poll", function()
      local topic, file = server:topic(1, 2), new_folder() .. "/got"
      local worker = start_worker("waiting-" .. name, "one", topic, file, 0, LONG)
      shell.eventually(10, function() return server:committed("waiting-" .. name, topic) == 2 end)
      worker:signal(name)
      assert.equal(0, worker:wait())
      assert.equal("started\nstopped by " .. name .. "\n", worker:output())
      assert.equal("", worker:errors())
      assert.same({}, server:instances("waiting-" .. name))
      worker:remove()
    end)
  end

  it("finishes the message in hand after TERM, and commits it", function()
    local topic, file = server:topic(1, 3), new_folder() .. "/got"
    local worker = start_worker("busy", "one", topic, file, 300)
    shell.eventually(10, function() return #(folder.read(file) or "") > 0 end)
    worker:signal "TERM"
    assert.equal(0, worker:wait())
    local got = #got_by(file)
    assert.equal(got, server:committed("busy", topic))
    assert.same({}, server:instances "busy")
    worker:remove()
  end)

  it("ends while the server is away", function()
    local port = free_port()
    local worker = shell.start(("%s spec/support/stopped_worker.lua g one t /dev/null"):format(shell.lua),
      { environment = server:environment { UPSTASH_KAFKA_REST_URL = "http://127.0.0.1:" .. port } })
    worker:expect "started"
    worker:signal "TERM"
    assert.equal(0, worker:wait())
    assert.equal("started\nstopped by TERM\n", worker:output())
    worker:remove()
  end)

  it("lets a second signal end the process, and leaves other programs' handlers alone", function()
    local program = [[
      local kafka, core = require "upstash.kafka", require "upstash.kafka.core"
      local next_message, loop = kafka.new():messages { group = "second", instance = "one", topic = "$topic",
        from = "earliest", stop_on_signal = { "TERM", "USR1" } }
      for message in next_message, loop do
        io.stdout:write("got ", message.value, "\n") io.stdout:flush()
        local deadline = core.now() + 60000
        while core.now() < deadline and $condition do core.sleep(5) end
      end
      io.stdout:write("ended by ", tostring(loop:stopped()), "\n") io.stdout:flush()
      core.sleep(60000)
    ]]
    local topic = server:topic(1, 3)
    local function start(condition)
      local text = program:gsub("%$(%w+)", { topic = topic, condition = condition })
      return shell.start(shell.lua .. " -e " .. shell.quote(text), { environment = server:environment() })
    end
    local process = start "true"
    process:expect "got 1"
    process:signal "TERM"
    process:signal "USR1"
    local status = process:wait()
    assert.is_true(status == 128 + 10 or status == 128 + 15, tostring(status)) -- in either order
    process:remove()
    process = start "not loop:stopped()"
    process:expect "got 1"
    process:signal "USR1"
    process:expect "ended by USR1"
    process:signal "TERM" -- ends it as it would without the loop
    assert.equal(128 + 15, process:wait())
    assert.equal(1, server:committed("second", topic))
    process:remove()
  end)

  it("gives the signals back when it has ended by itself", function()
    local program = [[
      local next_message, loop = require("upstash.kafka").new():messages { group = "back", instance = "one",
        topic = "$topic", from = "earliest", stop_on_signal = true, limit = 1 }
      for _ in next_message, loop do end
      io.stdout:write "ended\n" io.stdout:flush()
      require("upstash.kafka.core").sleep(60000)
      print(loop:stopped())
    ]]
    local text = program:gsub("%$topic", server:topic(1, 1))
    local process = shell.start(shell.lua .. " -e " .. shell.quote(text), { environment = server:environment() })
    process:expect "ended"
    process:signal "TERM"
    assert.equal(128 + 15, process:wait())
    process:remove()
  end)

  it("ends the command consume in an orderly way", function()
    local topic = server:topic(1, 2)
    local rows = { { "TERM", 0 }, { "INT", 130 } }
    if not shell.ignores_hang_up() then rows[3] = { "HUP", 0 } end
    for _, row in ipairs(rows) do
      local group = "command-" .. row[1]
      local process = shell.start(("%s consume %s --group %s --from earliest"):format(shell.command, topic, group),
        { environment = server:environment() })
      shell.eventually(10, function() return server:committed(group, topic) == 2 end)
      process:signal(row[1])
      assert.equal(row[2], process:wait())
      assert.equal("1\n2\n", process:output())
      assert.equal("", process:errors())
      assert.same({}, server:instances(group))
      process:remove()
    end
  end)
end)

-- Ten workers under load. One at a time is stopped and another one started.
describe("D1: ten workers of a group under load", function()
  local workers, produced, count, topic, place, client

  setup(function() server = server_support.start() end)
  teardown(function() server:stop() end)

  local function start()
    count = count + 1
    local name = "w" .. count
    return start_worker("group", name, topic, place .. "/" .. name, 1)
  end

  local function produce()
    local messages, first = {}, #produced
    for index = 1, 20 do messages[index] = { value = "v" .. first + index } end
    assert(client:produce_many(topic, messages))
    for index = 1, 20 do produced[first + index] = core.now() end
  end

  -- How many partitions the live instances hold. The stopped one must not be among them.
  local function held_without(name)
    local held = 0
    for _, group in ipairs(assert(client:consumers())) do
      for _, instance in ipairs(group.instances) do
        assert.not_equal(name, instance.name)
        for _, entry in ipairs(instance.topics) do held = held + #entry.partitions end
      end
    end
    return held
  end

  -- Stops one worker and starts another. Returns how long it took until others held everything.
  local function replace(index)
    local worker = workers[index]
    worker:expect "started"
    worker:signal "TERM"
    assert.equal(0, worker:wait())
    assert.equal("started\nstopped by TERM\n", worker:output())
    local ended = core.now()
    shell.eventually(10, function() return held_without(worker.name) == WORKERS end)
    local took = core.now() - ended
    workers[index] = start()
    worker:remove()
    return took
  end

  -- Returns when each value was received. Raises for one that came twice.
  local function received()
    local got = {}
    for number = 1, count do
      for line in io.lines(place .. "/w" .. number) do
        local value, at = line:match "^v(%d+) (%d+)$"
        assert.is_nil(got[tonumber(value)], "twice: " .. line)
        got[tonumber(value)] = tonumber(at)
      end
    end
    return got
  end

  it("lose and repeat nothing when they are stopped at random", function()
    workers, produced, count, topic, place, client = {}, {}, 0, server:topic(WORKERS, 0), folder.make(), server:client()
    for index = 1, WORKERS do workers[index] = start() end
    for _, worker in ipairs(workers) do worker:expect "started" end
    local slowest, latest = 0, 0
    for _ = 1, ROUNDS do
      for _ = 1, 5 do produce() end
      slowest = math.max(slowest, replace(math.random(WORKERS)))
    end
    shell.eventually(30, function()
      local lines = 0
      for number = 1, count do lines = lines + #got_by(place .. "/w" .. number) end
      return lines >= #produced
    end)
    for _, worker in ipairs(workers) do
      worker:expect "started"
      worker:signal "TERM"
    end
    for _, worker in ipairs(workers) do
      assert.equal(0, worker:wait())
      worker:remove()
    end
    local got = received()
    for number = 1, #produced do
      assert.truthy(got[number], "lost: " .. number)
      latest = math.max(latest, got[number] - produced[number])
    end
    if os.getenv "STOP_REPORT" then
      print(("%d stops, %d messages, none lost, none twice; partitions with another after at most %d ms, "
        .. "a message received at most %d ms after it was stored"):format(ROUNDS, #produced, slowest, latest))
    end
    client:close()
    folder.remove(place)
  end)
end)
