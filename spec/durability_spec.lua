--- Kills, stops and fills up the server of the command line while other processes produce and
-- consume; then compares what they saw with what it keeps.

local folder = require "spec.support.folder"
local history = require "spec.support.history"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"

local TOPICS = { one = 1, four = 4 }

describe("durability", function()
  local place, port, server, processes, paths, client

  local function serve(options)
    server = shell.start(("%s serve --listen 127.0.0.1:%d --data %s/data %s"):format(
      shell.command, port, place, options or ""), { environment = { UPSTASH_KAFKA_SERVER_PASSWORD = "secret" } })
    port = tonumber(server:expect "listening on http://127%.0%.0%.1:(%d+)\n")
  end

  -- Ends the server, and starts it again with the same port and data.
  local function restart(signal, options)
    server:signal(signal)
    local status, errors = server:wait(20), server:errors()
    server:remove()
    serve(options)
    return status, errors
  end

  local function environment()
    return {
      UPSTASH_KAFKA_REST_URL = "http://127.0.0.1:" .. port,
      UPSTASH_KAFKA_REST_USERNAME = "kafka",
      UPSTASH_KAFKA_REST_PASSWORD = "secret",
    }
  end

  local function open(options)
    serve(options)
    client = kafka.new { url = "http://127.0.0.1:" .. port, username = "kafka", password = "secret", retries = 0 }
    for topic, partitions in pairs(TOPICS) do assert(client:create_topic(topic, { partitions = partitions })) end
  end

  -- `last` is the worker's last argument: a file whose presence ends it, or a count.
  local function work(role, name, last)
    local path = ("%s/%s-%s.log"):format(place, role, name)
    local process = shell.start(("%s spec/support/history_worker.lua %s %s %s %s"):format(
      shell.lua, role, name, path, last), { environment = environment() })
    processes[#processes + 1] = process
    paths[role] = paths[role] or {}
    table.insert(paths[role], path)
    return process
  end

  -- Waits until each process of that role has seen `count` more events.
  local function progress(role, event, count)
    for _, path in ipairs(paths[role]) do
      local function events() return select(2, ("\n" .. (folder.read(path) or "")):gsub("\n" .. event, "")) end
      local before = events()
      shell.eventually(20, function() return events() >= before + count end)
    end
  end

  local function start_load()
    for index = 1, 2 do work("produce", "producer-" .. index, place .. "/produced") end
    for index = 1, 2 do work("consume", "consumer-" .. index, place .. "/consumed") end
  end

  local function finish(from, to)
    for index = from, to do
      assert.equal(0, processes[index]:wait(30), processes[index]:errors())
      assert.equal("", processes[index]:errors())
    end
  end

  local function end_load()
    folder.write(place .. "/produced", "")
    finish(1, 2)
    folder.write(place .. "/consumed", "")
    finish(3, 4)
  end

  before_each(function()
    place, port, processes, paths = folder.make(), 0, {}, {}
  end)

  after_each(function()
    for _, process in ipairs(processes) do process:remove() end
    if server then server:remove() end
    if client then client:close() end
    server, client = nil, nil
    folder.remove(place)
  end)

  it("loses nothing that was acknowledged when the server is killed, and serves each message", function()
    open()
    start_load()
    for _ = 1, 3 do
      progress("produce", "ok", 40)
      restart "KILL"
    end
    progress("produce", "ok", 20)
    end_load()
    local kept = history.kept(client, TOPICS)
    local problems, counts = history.check_producers(kept, history.read_all(paths.produce))
    assert.same({}, problems)
    assert.is_true(counts.acknowledged >= 2 * 140, counts.acknowledged)
    assert.same({}, (history.check_consumers(kept, history.read_all(paths.consume))))
  end)

  it("answers pending requests when it is terminated", function()
    open()
    start_load()
    for _ = 1, 3 do
      progress("produce", "ok", 30)
      local status, errors = restart "TERM"
      assert.equal(0, status)
      assert.equal("", errors)
    end
    end_load()
    local kept = history.kept(client, TOPICS)
    local problems, counts = history.check_producers(kept, history.read_all(paths.produce))
    assert.same({}, problems)
    assert.equal(0, counts.unknown_stored) -- every stored message was acknowledged
    assert.same({}, (history.check_consumers(kept, history.read_all(paths.consume))))
  end)

  it("keeps a commit that was acknowledged", function()
    open()
    local messages = {}
    for number = 1, 60 do messages[number] = { value = "m" .. number } end
    assert(client:produce_many("one", messages))
    for number = 1, 3 do
      local got = assert(client:consume("by-hand", "i", "one",
        { auto_commit = false, auto_offset_reset = "earliest", max_messages = 10 }))
      assert.equal(10 * (number - 1), got[1].offset)
      assert.is_true(client:commit("by-hand", "i"))
      assert.equal(137, (restart "KILL"))
      assert.equal(10 * number, client:committed("by-hand", "i", { topic = "one", partition = 0 })[1].offset)
    end
  end)

  it("delivers again the batch that a killed consumer had not acknowledged", function()
    open()
    local messages = {}
    for number = 1, 100 do messages[number] = { value = "m" .. number } end
    assert(client:produce_many("one", messages))
    -- Batches of 40: the second one has begun, so the first one is committed.
    assert.equal(137, work("die", "first", 45):wait(20))
    assert.equal(40, client:committed("group", "first", { topic = "one", partition = 0 })[1].offset)
    folder.write(place .. "/consumed", "")
    -- once the session of the first one has ended
    assert.equal(137, work("die", "other", 5):wait(20))
    local first, second = history.read(paths.die[1]), history.read(paths.die[2])
    assert.equal(45, #first.got)
    assert.equal(5, #second.got)
    assert.equal(40, second.got[1].offset)
    work("consume", "other", place .. "/consumed"):wait(20)
    local third = history.read(paths.consume[1])
    local problems, again = history.check_consumers(history.kept(client, TOPICS), { first, second, third })
    assert.same({}, problems)
    assert.equal(10, again)
  end)

  it("refuses records when the map is full, still reads, and accepts more once a topic is deleted", function()
    local small = "--map-bytes 1048576"
    open(small)
    local messages = {}
    for number = 1, 20 do messages[number] = { value = "m" .. number } end
    assert(client:produce_many("one", messages))

    local function add() return client:produce("filler", ("f"):rep(5000)) end

    -- The pages of a deleted topic come back a moment after the answer: small messages may fit
    -- before large ones.
    local function fill()
      shell.eventually(60, function() return (add()) end)
      while true do
        local done, _, details = add()
        if not done then return details end
      end
    end

    for number = 1, 3 do
      local details = fill()
      assert.equal("unavailable", details.code)
      assert.equal(503, details.status)
      assert.is_true(details.retry_after >= 1)
      assert.is_nil((client:health()))
      assert.equal(19 + number, #assert(client:fetch("one", 0, 0)))
      assert(client:consume("g", "i", "one", { auto_offset_reset = "earliest", auto_commit = false }))
      assert.is_true(client:commit("g", "i"))
      assert.equal(137, (restart("KILL", small)))
      assert.equal(19 + number, client:committed("g", "i", { topic = "one", partition = 0 })[1].offset)
      assert.is_true(client:delete_topic "filler")
      local stored = shell.eventually(60, function() return (client:produce("one", "more" .. number)) end)
      assert.equal(19 + number, stored.offset)
      assert.is_truthy(client:health())
    end
    assert.equal(23, #assert(client:fetch("one", 0, 0)))
  end)
end)
