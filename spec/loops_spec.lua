-- What the loops ask of a server without batches, call by call, and when; batches_spec.lua is about
-- one that names them.

local core = require "upstash.kafka.core"
local kafka = require "upstash.kafka"
local host = require "upstash.kafka.host"
local script = require "spec.support.loop_script"

local note, runs, loop, place = script.note, script.runs, script.loop, script.place
local fails, later, stops, of, at, join = script.fails, script.later, script.stops, script.of, script.at, script.join
local asks, position, commits = script.asks, script.position, script.commits
local GONE, AWAY, LOST, BROKEN, LARGE = script.GONE, script.AWAY, script.LOST, script.BROKEN, script.LARGE

local DELETE = "delete_consumer g i"

describe("a loop, call by call,", function()
  before_each(function()
    script.begin()
    script.shows_batches = false
  end)
  after_each(function()
    script.finish()
    script.shows_batches = true
  end)

  it("begins with a deletion, commits finished messages before each poll, and ends with a deletion", function()
    runs("messages", loop { limit = 3 }, {
      { DELETE, GONE }, { asks(1000, 3), at(4, 6) }, { "> t/0/4" }, { "> t/0/6" },
      { commits(position(7)), true }, { asks(1000, 1), at(7) }, { "> t/0/7" },
      { commits(position(8)), true }, { DELETE, true },
    })
  end)

  describe("D8: on_wait", function()
    local BUSY = fails("too_many_requests", 429)

    local function on_wait(message, details)
      note(("waits %s %d"):format(message, details.status))
    end

    it("is called once for each cause, until a call succeeds", function()
      runs("messages", loop { limit = 2, max_messages = 1, on_wait = on_wait }, {
        { DELETE, AWAY }, { "waits unavailable 503" }, { "sleep 100" }, { DELETE, AWAY }, { "sleep 200" },
        { DELETE, true },
        { asks(1000, 1), AWAY }, { "waits unavailable 503" }, { "sleep 100" },
        { asks(1000, 1), BUSY }, { "waits too_many_requests 429" }, { "sleep 200" },
        { asks(1000, 1), BUSY }, { "sleep 300" }, { asks(1000, 1), at(4) }, { "> t/0/4" },
        { commits(position(5)), true }, { asks(1000, 1), BUSY }, { "waits too_many_requests 429" }, { "sleep 100" },
        { asks(1000, 1), at(5) }, { "> t/0/5" }, { commits(position(6)), true }, { DELETE, true },
      })
    end)

    it("ends the loop if it raises", function()
      script.answers[1] = AWAY
      local client = kafka.new { url = "http://127.0.0.1:1" }
      local step, state = client:messages(loop { on_wait = function() error("enough", 0) end })
      assert.error_matches(function() step(state) end, "enough$")
      assert.is_nil(step(state))
      assert.same({ DELETE }, script.trace)
      client:close()
    end)

    it("is not called for a failure that does not pass", function()
      runs("messages", loop { on_wait = on_wait }, {
        { DELETE, true }, { asks(1000), fails("forbidden", 403, { retriable = false }) }, { DELETE, true },
        { "raises forbidden" },
      })
    end)

    it("belongs to records, too", function()
      runs("records", { topic = "t", partition = 0, from = 0, limit = 1, on_wait = on_wait }, {
        { "fetch t 0 0 {max_messages=1,timeout=1000}", AWAY }, { "waits unavailable 503" }, { "sleep 100" },
        { "fetch t 0 0 {max_messages=1,timeout=1000}", at(0) }, { "> t/0/0" },
      })
    end)

    it("must be a function", function()
      local client = kafka.new { url = "http://127.0.0.1:1" }
      assert.error_matches(function() client:messages(loop { on_wait = 1 }) end, "on_wait: function expected, got 1")
      client:close()
    end)
  end)

  it("passes its options on", function()
    runs("batches", loop { limit = 1, session_timeout = 6000, max_bytes = 5, timeout = 70, max_messages = 4 }, {
      { DELETE, true }, { asks(70, 1, ",max_bytes=5"):gsub(",timeout", ",session_timeout=6000,timeout"), at(0) },
      { "> t/0/0" }, { commits(position(1)), true }, { DELETE, true },
    })
  end)

  it("accepts a list of topics", function()
    local options = loop { limit = 1, topics = { "u", "v" } }
    options.topic = nil
    runs("messages", options, {
      { DELETE, true }, { asks(1000, 1):gsub("i t ", "i {u,v} "), at(0) }, { "> t/0/0" },
      { commits(position(1)), true }, { DELETE, true },
    })
  end)

  -- limit, max_messages, what the first poll asks for
  for _, row in ipairs { { 999, nil, 999 }, { 1000, nil, nil }, { 1001, nil, nil }, { 4, 5, 4 }, { 5, 5, 5 },
    { 6, 5, 5 }, { nil, 5, 5 }, { nil, nil, nil }, { nil, 2000, 2000 }, { 1500, 2000, 1500 } } do
    it(("asks for %s with limit %s and max_messages %s"):format(tostring(row[3]), tostring(row[1]), tostring(row[2])),
      function()
        runs("messages", loop { limit = row[1], max_messages = row[2] }, {
          { DELETE, true }, { asks(1000, row[3]), at(0) }, { "> t/0/0" }, { DELETE, true }, { "closed true" },
        }, 1)
      end)
  end

  it("hands out no more than its limit, and commits no more", function()
    for _, method in ipairs { "messages", "batches" } do
      script.trace = {}
      local handed = method == "messages" and { { "> t/0/0" }, { "> t/0/1" } } or { { "> t/0/0 t/0/1" } }
      runs(method, loop { limit = 2 }, join({ { DELETE, true }, { asks(1000, 2), at(0, 1, 2, 3) } }, handed,
        { { commits(position(2)), true }, { DELETE, true } }))
    end
  end)

  it("commits the last finished offset of each partition", function()
    local mixed = join(of(0, 1), of(1, 5), of(0, 2), of(2, 9), of(1, 6))
    runs("messages", loop(), {
      { DELETE, true }, { asks(1000), mixed }, { "> t/0/1" }, { "> t/1/5" }, { "> t/0/2" }, { "> t/2/9" },
      { "> t/1/6" }, { commits(position(7, 1), position(10, 2), position(3, 0)), true }, { asks(1000), at(3) },
      { "> t/0/3" }, { DELETE, true }, { "closed true" },
    }, 6)
  end)

  it("commits within a batch after a third of the session, not before, and each message once", function()
    runs("messages", loop { session_timeout = 3000 }, {
      { DELETE, true }, { asks(1000):gsub(",timeout", ",session_timeout=3000,timeout"), at(0, 1, 2, 3, 4) },
      { "> t/0/0", 999 }, { "> t/0/1", 1 }, { commits(position(2)), true }, { "> t/0/2", 999 }, { "> t/0/3", 2 },
      { commits(position(4)), true }, { "> t/0/4" }, { DELETE, true }, { "closed true" },
    }, 5)
  end)

  it("has a session of two minutes by default", function()
    runs("messages", loop(), {
      { DELETE, true }, { asks(1000), at(0, 1, 2) }, { "> t/0/0", 39999 }, { "> t/0/1", 1 },
      { commits(position(2)), true }, { "> t/0/2" }, { DELETE, true }, { "closed true" },
    }, 3)
  end)

  it("polls for at most the rest of its idle time, and then never again", function()
    runs("messages", loop { idle = 2500 }, {
      { DELETE, true }, { asks(1000), later(1000, {}) }, { asks(1000), later(1000, {}) }, { asks(500), later(500, {}) },
      { DELETE, true },
    })
    script.trace = {}
    runs("messages", loop { idle = 1000 }, { { DELETE, true }, { asks(1000), {} }, { DELETE, true } })
    script.trace = {}
    runs("messages", loop { idle = 1001 }, { { DELETE, true }, { asks(1000), later(1000, {}) }, { asks(1), {} },
      { DELETE, true } })
    script.trace = {}
    runs("messages", loop { idle = 0 }, { { DELETE, true }, { asks(0), {} }, { DELETE, true } })
    script.trace = {}
    runs("messages", loop { idle = 1500 }, { { DELETE, true }, { asks(1000), later(1700, {}) }, { asks(0), {} },
      { DELETE, true } })
  end)

  it("counts its idle time from each message", function()
    runs("messages", loop { idle = 1200 }, {
      { DELETE, true }, { asks(1000), later(900, at(0)) }, { "> t/0/0", 600 }, { commits(position(1)), true },
      { asks(1000), later(1000, {}) }, { asks(200), {} }, { DELETE, true },
    })
  end)

  describe("after a commit of an instance that is gone", function()
    local BEFORE = { { DELETE, true }, { asks(1000), join(of(0, 0), of(1, 5), of(2, 8)) }, { "> t/0/0" }, { "> t/1/5" },
      { "> t/2/8" }, { commits(position(9, 2), position(6, 1), position(1, 0)), GONE },
      { "committed g i {{partition=2,topic=t},{partition=1,topic=t},{partition=0,topic=t}}" } }
    local AFTER = { { DELETE, true }, { asks(1000), at(1) }, { "> t/0/1" }, { DELETE, true }, { "closed true" } }

    -- BEFORE, with this answer to committed.
    local function before(answer)
      local lines = join(BEFORE)
      lines[#lines] = { lines[#lines][1], answer }
      return lines
    end

    local KNOWN = join(of(2, 8), of(1, 6), of(0, -1))

    it("commits through a new instance, one by one, what the group has not committed", function()
      runs("messages", loop(), join(before(KNOWN), { { asks(0, 1), at(0) }, { "commit g i " .. position(9, 2), AWAY },
        { "commit g i " .. position(1, 0), true } }, AFTER), 4)
    end)

    it("commits even if the new instance's messages cannot be read", function()
      for _, unreadable in ipairs { BROKEN, LARGE, fails("integer_range", 200) } do
        script.trace = {}
        runs("messages", loop(), join(before(KNOWN), { { asks(0, 1), unreadable },
          { "commit g i " .. position(9, 2), true }, { "commit g i " .. position(1, 0), true } }, AFTER), 4)
      end
    end)

    it("commits nothing without a new instance", function()
      for _, failure in ipairs { AWAY, LOST } do
        script.trace = {}
        runs("messages", loop(), join(before(KNOWN), { { asks(0, 1), failure } }, AFTER), 4)
      end
    end)

    it("creates no instance if the group has committed everything, or is unknown", function()
      for _, answer in ipairs { join(of(2, 9), of(1, 7), of(0, 1)), GONE } do
        script.trace = {}
        runs("messages", loop(), join(before(answer), AFTER), 4)
      end
    end)

    it("within a batch discards the rest, which is redelivered", function()
      runs("messages", loop { session_timeout = 3000 }, {
        { DELETE, true }, { asks(1000):gsub(",timeout", ",session_timeout=3000,timeout"), at(0, 1) },
        { "> t/0/0", 3000 }, { commits(position(1)), GONE }, { "committed g i {{partition=0,topic=t}}", at(1) },
        { DELETE, true }, { asks(1000):gsub(",timeout", ",session_timeout=3000,timeout"), at(1) }, { "> t/0/1" },
        { DELETE, true }, { "closed true" },
      }, 2)
    end)
  end)

  -- A failed consume: the loop deletes the instance if the response may have carried messages.
  local MAY_HAVE_READ = {
    { "a lost connection", fails("connection_lost"), true }, { "a timeout", fails("timeout"), true },
    { "a 500", fails("internal", 500), true }, { "a 502", fails("unavailable", 502), true },
    { "a 504", fails("gateway_timeout", 504), true }, { "a 599", fails("internal", 599), true },
    { "a 503", AWAY, false }, { "a 429", fails("too_many", 429), false }, { "a 400", fails("x", 400), false },
    { "a 499", fails("x", 499), false }, { "no connection", fails "connect_failed", false },
    { "no name", fails "resolve_failed", false }, { "no TLS", fails "tls_failed", false },
  }
  for _, row in ipairs(MAY_HAVE_READ) do
    it(("%s the instance after %s"):format(row[3] and "deletes" or "keeps", row[1]), function()
      local lines = { { DELETE, true }, { asks(1000), row[2] }, { "sleep 100" } }
      if row[3] then lines[#lines + 1] = { DELETE, true } end
      runs("messages", loop(), join(lines, { { asks(1000), at(0) }, { "> t/0/0" }, { DELETE, true },
        { "closed true" } }), 1)
    end)
  end

  it("waits longer after each successive failure, and starts over after a success", function()
    runs("messages", loop(), {
      { DELETE, AWAY }, { "sleep 100" }, { DELETE, AWAY }, { "sleep 200" }, { DELETE, GONE },
      { asks(1000), AWAY }, { "sleep 100" }, { asks(1000), AWAY }, { "sleep 200" }, { asks(1000), at(0) },
      { "> t/0/0" }, { commits(position(1)), AWAY }, { "sleep 100" }, { commits(position(1)), true },
      { asks(1000), AWAY }, { "sleep 100" }, { asks(1000), at(1) }, { "> t/0/1" }, { DELETE, true }, { "closed true" },
    }, 2)
  end)

  it("waits no longer than idle, and raises the failure", function()
    local problem = runs("messages", loop { idle = 250 }, {
      { DELETE, true }, { asks(250), AWAY }, { "sleep 100" }, { asks(150), AWAY }, { "sleep 150" }, { asks(0), AWAY },
      { DELETE, true }, { "raises unavailable" },
    })
    script.trace = {}
    runs("messages", loop { idle = 101 }, {
      { DELETE, true }, { asks(101), AWAY }, { "sleep 100" }, { asks(1), AWAY }, { "sleep 1" }, { asks(0), AWAY },
      { DELETE, true }, { "raises unavailable" },
    })
    assert.same({ "unavailable", 503, true }, { problem.code, problem.status, problem.retriable })
  end)

  it("raises permanent failures at once, without the fields that the loop handles itself", function()
    local problem = runs("messages", loop(), {
      { DELETE, true }, { asks(1000), fails("unauthorized", 401, { retriable = false, again = "how" }) },
      { DELETE, true }, { "raises unauthorized" },
    })
    assert.same({ "unauthorized", 401, false }, { problem.code, problem.status, problem.retriable })
    assert.is_nil(problem.again)
  end)

  it("retries lost responses at once if waiting does not help, and raises the third in a row", function()
    runs("messages", loop(), {
      { DELETE, true }, { asks(1000), LOST }, { DELETE, true }, { asks(1000), LOST }, { DELETE, true },
      { asks(1000), LOST }, { DELETE, true }, { "raises connection_lost" },
    })
    script.trace = {}
    runs("messages", loop(), {
      { DELETE, true }, { asks(1000), LOST }, { DELETE, true }, { asks(1000), LOST }, { DELETE, true },
      { asks(1000), {} }, { asks(1000), LOST }, { DELETE, true }, { asks(1000), LOST }, { DELETE, true },
      { asks(1000), at(0) }, { "> t/0/0" }, { DELETE, true }, { "closed true" },
    }, 1)
  end)

  it("halves a batch that cannot be read, and doubles it after eight that can", function()
    local lines = { { DELETE, true }, { asks(1000, 7), LARGE }, { DELETE, true }, { asks(1000, 3), LARGE },
      { DELETE, true } }
    for offset = 0, 7 do
      lines[#lines + 1] = { asks(1000, 1), at(offset) }
      lines[#lines + 1] = { "> t/0/" .. offset }
      lines[#lines + 1] = { commits(position(offset + 1)), true }
    end
    lines[#lines + 1] = { asks(1000, 2), {} } -- an empty response shows nothing
    for offset = 8, 15 do
      lines[#lines + 1] = { asks(1000, 2), at(offset) }
      lines[#lines + 1] = { "> t/0/" .. offset }
      lines[#lines + 1] = { commits(position(offset + 1)), true }
    end
    for offset = 16, 23 do
      lines[#lines + 1] = { asks(1000, 4), at(offset) }
      lines[#lines + 1] = { "> t/0/" .. offset }
      lines[#lines + 1] = { commits(position(offset + 1)), true }
    end
    runs("messages", loop { max_messages = 7 }, join(lines, { { asks(1000, 7), at(24) }, { "> t/0/24" },
      { DELETE, true }, { "closed true" } }), 25)
  end)

  it("grows back to the server's maximum", function()
    local lines, size, offset = { { DELETE, true }, { asks(1000), BROKEN }, { DELETE, true } }, 500, 0
    for _ = 1, 8 do
      lines[#lines + 1] = { asks(1000, size), at(offset) }
      lines[#lines + 1] = { "> t/0/" .. offset }
      offset = offset + 1
      lines[#lines + 1] = { commits(position(offset)), true }
    end
    runs("messages", loop(), join(lines, { { asks(1000), at(8) }, { "> t/0/8" }, { DELETE, true },
      { "closed true" } }), 9)
  end)

  it("names a message that cannot be read as soon as it is the only one", function()
    local where = { topic = "t", partition = 0, offset = 0 }
    runs("messages", loop { max_messages = 2 }, {
      { DELETE, true }, { asks(1000, 2), LARGE }, { DELETE, true }, { asks(1000, 1), LARGE }, { DELETE, true },
      { "raises response_too_large: this message cannot be read; raise max_response_bytes" },
    })
    script.trace = {}
    runs("messages", loop { max_messages = 1 }, {
      { DELETE, true }, { asks(1000, 1), fails("integer_range", 200, { retriable = false, position = where }) },
      { DELETE, true }, { "raises integer_range: this message cannot be read, or continue after it" },
    })
  end)

  it("raises the third time if no part of the response can be read", function()
    runs("messages", loop { max_messages = 1 }, {
      { DELETE, true }, { asks(1000, 1), BROKEN }, { DELETE, true }, { asks(1000, 1), BROKEN }, { DELETE, true },
      { asks(1000, 1), BROKEN }, { DELETE, true },
      { "raises bad_response: not even a response of one message can be read" },
    })
  end)

  it("names the last message that it read before one without a position", function()
    runs("batches", loop { max_messages = 1 }, {
      { DELETE, true }, { asks(1000, 1), at(5) }, { "> t/0/5" }, { commits(position(6)), true },
      { asks(1000, 1), function() return nil, "element 1 of the response: no", { code = "bad_response", status = 200,
        retriable = false } end },
      { DELETE, true },
      { 'raises element 1 of the response: no (after topic "t", partition 0, offset 5): this message cannot be read' },
    })
  end)

  it("commits when it is closed, and reports a failure", function()
    local lines = { { DELETE, true }, { asks(1000), at(0, 1, 2) }, { "> t/0/0" }, { "> t/0/1" },
      { commits(position(1)), AWAY }, { DELETE, true }, { "closed nil unavailable" } }
    runs("messages", loop(), lines, 2)
  end)

  it("does not commit when it is closed if its instance is gone", function()
    runs("messages", loop(), { { DELETE, true }, { asks(1000), at(0, 1, 2) }, { "> t/0/0" }, { "> t/0/1" },
      { commits(position(1)), GONE }, { DELETE, true }, { "closed nil not_found" } }, 2)
  end)

  it("raises when its last commit fails for good", function()
    runs("messages", loop { limit = 1 }, {
      { DELETE, true }, { asks(1000, 1), at(0) }, { "> t/0/0" },
      { commits(position(1)), fails("forbidden", 403, { retriable = false }) },
      { commits(position(1)), fails("forbidden", 403, { retriable = false }) }, { DELETE, true },
      { "raises forbidden" },
    })
  end)

  it("that is stopped after its client was closed raises that once, at the line of the step", function()
    script.answers = { true, at(0), function() error("client is closed", 0) end }
    local client = kafka.new { url = "http://127.0.0.1:1" }
    local step, state = client:messages(loop())
    step(state)
    state:stop()
    local line = debug.getinfo(1, "l").currentline + 1
    local fine, problem = pcall(function() local _ = step(state) end)
    assert.is_false(fine)
    assert.equal(("loops_spec.lua:%d: client is closed"):format(line), (problem:gsub("^.*/loops_spec", "loops_spec")))
    client:close()
  end)

  it("that never started deletes nothing", function()
    runs("messages", loop { limit = 0 }, {})
  end)

  -- Creates the client's loops so that `stop` ends the one that was created last.
  local function with_stop(body)
    local messages, records, last = core.methods.messages, core.methods.records, nil
    for name, method in pairs { messages = messages, records = records } do
      core.methods[name] = function(...)
        local step, state, none, closing = method(...)
        last = state
        return step, state, none, closing
      end
    end
    local fine, problem = pcall(body, function(result)
      return function()
        last:stop()
        if type(result) == "function" then return result() end
        return result
      end
    end)
    core.methods.messages, core.methods.records = messages, records
    if not fine then error(problem, 0) end
  end

  it("D1: that is stopped during a poll hands out nothing more, and deletes the instance", function()
    with_stop(function(stop)
      runs("messages", loop(), {
        { DELETE, true }, { asks(1000), at(0) }, { "> t/0/0" }, { commits(position(1)), true },
        { asks(1000), stop(at(1, 2)) }, { DELETE, true },
      })
    end)
  end)

  it("D1: that is stopped while it retries waits for no delay, and commits once more", function()
    with_stop(function(stop)
      runs("messages", loop(), {
        { DELETE, true }, { asks(1000), at(0) }, { "> t/0/0" }, { commits(position(1)), stop(AWAY) },
        { commits(position(1)), true }, { DELETE, true },
      })
    end)
  end)

  it("D1: that is stopped and cannot commit raises, and still leaves the group", function()
    with_stop(function(stop)
      runs("messages", loop(), {
        { DELETE, true }, { asks(1000), at(0) }, { "> t/0/0" }, { commits(position(1)), stop(AWAY) },
        { commits(position(1)), AWAY }, { DELETE, true }, { "raises unavailable" },
      })
    end)
  end)

  it("D1: that is stopped while it waits for a retry makes no further call of its kind", function()
    local sleep = core.sleep
    with_stop(function(stop)
      local stops_sleep = stop()
      function core.sleep(milliseconds)
        sleep(milliseconds)
        stops_sleep()
      end
      runs("messages", loop(), { { DELETE, true }, { asks(1000), AWAY }, { "sleep 100" }, { DELETE, true } })
      script.trace = {}
      runs("records", { topic = "t", partition = 0, from = 0 }, {
        { "fetch t 0 0 {timeout=1000}", AWAY }, { "sleep 100" },
      })
    end)
  end)

  it("does not count its delays beyond the twentieth, and never gives up", function()
    local lines = { { DELETE, true } }
    for attempt = 1, 23 do
      lines[#lines + 1] = { asks(1000), AWAY }
      lines[#lines + 1] = { "sleep " .. math.min(attempt, 20) * 100 }
    end
    runs("messages", loop(), join(lines, { { asks(1000), at(0) }, { "> t/0/0" }, { DELETE, true },
      { "closed true" } }), 1)
  end)

  it("D1: raises if its signals cannot be watched", function()
    local client, watch_signals = kafka.new { url = "http://127.0.0.1:1" }, host.watch_signals
    local asked = {}
    function host.watch_signals(names)
      asked[#asked + 1] = table.concat(names, " ")
      return nil, "no descriptors", { error = "no descriptors", code = "too_many", retriable = true }
    end
    for _, signals in ipairs { true, { "HUP" } } do
      local fine, failure = pcall(client.messages, client, loop { stop_on_signal = signals })
      assert.same({ false, "no descriptors", "too_many" }, { fine, tostring(failure), failure.code })
      fine, failure = pcall(client.records, client, { topic = "t", partition = 0, stop_on_signal = signals })
      assert.same({ false, "no descriptors" }, { fine, tostring(failure) })
    end
    client:messages(loop { stop_on_signal = false })
    host.watch_signals = watch_signals
    assert.same({ "INT TERM", "INT TERM", "HUP", "HUP" }, asked)
    client:close()
  end)

  describe("D1: with signals", function()
    local watch_signals, arrived, closed

    before_each(function()
      watch_signals, arrived, closed = host.watch_signals, nil, 0
      function host.watch_signals()
        return {
          arrived = function() return arrived end,
          sleep = function(_, milliseconds) core.sleep(milliseconds) end,
          call = function(_, method, ...)
            note "until a signal:"
            return method(...)
          end,
          close = function() closed = closed + 1 end,
        }
      end
    end)
    after_each(function() host.watch_signals = watch_signals end)

    -- Takes one step of a loop, whose answers are in `script.answers`.
    local function start(method, options)
      local client = kafka.new { url = "http://127.0.0.1:1" }
      options.stop_on_signal = true
      local step, state = client[method](client, options)
      return step, state, client
    end

    it("keeps the name of the one that arrived, also when it is stopped later, and gives them back once", function()
      script.answers = { true, at(0, 1), true, true }
      local step, state, client = start("messages", loop())
      assert.equal(0, step(state).offset)
      arrived = "HUP"
      assert.equal("HUP", state:stopped())
      state:stop()
      assert.equal("HUP", state:stopped())
      assert.is_nil(step(state))
      arrived = "USR1"
      assert.equal("HUP", state:stopped())
      assert.equal(1, closed)
      assert.is_true(state:close())
      assert.equal(1, closed)
      -- The calls that end the loop are not ended by the signal.
      assert.same({ "until a signal:", DELETE, "until a signal:", asks(1000), commits(position(1)), DELETE },
        script.trace)
      client:close()
    end)

    it("learns the name of one that arrives while it ends", function()
      script.answers = { true, at(0), function() arrived = "TERM" return true end, true }
      local step, state, client = start("messages", loop { limit = 1 })
      assert.equal(0, step(state).offset)
      assert.is_false(state:stopped())
      assert.is_nil(step(state))
      assert.equal("TERM", state:stopped())
      assert.equal(1, closed)
      client:close()
    end)

    it("gives them back when it fails, and over a partition too", function()
      script.answers = { fails("forbidden", 403, { retriable = false }) }
      local step, state, client = start("messages", loop())
      assert.is_false((pcall(step, state)))
      assert.equal(1, closed)
      client:close()
      script.answers = { at(0) }
      step, state, client = start("records", { topic = "t", partition = 0, from = 0, to = 1 })
      assert.equal(0, step(state).offset)
      assert.equal(1, closed)
      assert.is_nil(step(state))
      assert.equal(2, closed)
      client:close()
    end)
  end)

  it("D10: commits at once, and forgets it with the batch", function()
    for _, answer in ipairs { GONE, true } do
      script.trace, script.answers = {}, { true, at(8, 9), true, answer, at(1), true, true }
      if answer == GONE then script.answers = { true, at(8, 9), true, GONE, {}, true, at(1), true, true } end
      local client = kafka.new { url = "http://127.0.0.1:1" }
      local step, state = client:messages(loop())
      assert.is_true(state:commit(step(state)))
      step(state)
      assert.equal(1, step(state).offset) -- the topic was created again, or the message comes again
      assert.is_true(state:commit())
      assert.equal(commits(position(2)), script.trace[#script.trace])
      assert.is_true(state:close())
      client:close()
    end
  end)

  it("D10: that cannot commit has not finished the message in hand", function()
    script.answers = { true, at(0, 1), AWAY, true, true }
    local client = kafka.new { url = "http://127.0.0.1:1" }
    local step, state = client:messages(loop())
    step(state)
    step(state)
    assert.is_nil((state:commit()))
    assert.equal(commits(position(2)), script.trace[#script.trace])
    assert.is_true(state:close())
    assert.equal(commits(position(1)), script.trace[#script.trace - 1])
    client:close()
  end)

  it("D10: commits no message that was not handed out", function()
    script.answers = { true, at(0, 1), true }
    local client = kafka.new { url = "http://127.0.0.1:1" }
    local step, state = client:messages(loop())
    step(state)
    local function blames(message, text)
      local line = debug.getinfo(1, "l").currentline + 1
      local fine, problem = pcall(function() local _ = state:commit(message) end)
      assert.is_false(fine)
      assert.equal(("loops_spec.lua:%d: %s"):format(line, text), (problem:gsub("^.*/loops_spec", "loops_spec")))
    end
    blames({ topic = "t", partition = 0, offset = 1 }, "bad argument #1 to 'commit' (a message of the batch in hand "
      .. "expected; the loop commits earlier ones by itself)")
    blames("t", "bad argument #1 to 'commit' (message expected, got string)")
    assert.is_true(state:close())
    blames(nil, "the loop is closed")
    client:close()
  end)

  it("D10: knows a message of the batch by its topic, partition and offset", function()
    script.answers = { true, join(of(0, 3), of(1, 4)), true, true, true }
    local client = kafka.new { url = "http://127.0.0.1:1" }
    local step, state = client:messages(loop())
    step(state)
    step(state)
    for _, wrong in ipairs { { "t", 0, 4 }, { "t", 1, 3 }, { "u", 0, 3 }, { "t", 2, 3 } } do
      local message = { topic = wrong[1], partition = wrong[2], offset = wrong[3] }
      assert.is_false((pcall(state.commit, state, message)), place(message))
    end
    assert.is_true(state:commit { topic = "t", partition = 1, offset = 4 })
    assert.equal(commits(position(5, 1)), script.trace[#script.trace])
    assert.is_true(state:close())
    client:close()
  end)

  it("D10: a commit of an earlier message is not made when a later one of its partition is committed", function()
    script.answers = { true, join(at(3, 4, 5), of(1, 9)), true, true, true }
    local client = kafka.new { url = "http://127.0.0.1:1" }
    local step, state = client:messages(loop())
    local first, second = step(state), step(state)
    assert.is_true(state:commit(second))
    assert.is_true(state:commit(first))
    assert.equal(3, #script.trace)
    step(state)
    step(state)
    assert.is_true(state:close()) -- the first of those is finished
    assert.equal(commits(position(6)), script.trace[#script.trace - 1])
    client:close()
  end)

  it("D10: a commit keeps the instance alive: the loop commits a third of the session later", function()
    script.answers = { true, at(0, 1, 2, 3), true, true, true }
    local client = kafka.new { url = "http://127.0.0.1:1" }
    local step, state = client:messages(loop { session_timeout = 3000 })
    local first = step(state)
    step(state)
    script.clock = script.clock + 900
    assert.is_true(state:commit(first))
    script.clock = script.clock + 999
    step(state)
    assert.equal(3, #script.trace)
    script.clock = script.clock + 1
    step(state)
    assert.equal(commits(position(3)), script.trace[#script.trace])
    assert.is_true(state:close())
    client:close()
  end)

  it("D1: that is stopped before its first call makes none", function()
    local client = kafka.new { url = "http://127.0.0.1:1" }
    for method, options in pairs { messages = loop(), batches = loop(), records = { topic = "t", partition = 0 } } do
      local step, state = client[method](client, options)
      state:stop()
      assert.is_nil(step(state))
    end
    client:close()
    assert.same({}, script.trace)
  end)

  describe("with from = 'latest'", function()
    local function latest(more)
      local options = loop(more)
      options.from = nil
      return options
    end

    local function polls(timeout)
      return asks(timeout):gsub("earliest", "latest")
    end

    local TOPICS, ENDS = { "topics", { t = 2 } },
      { "offsets latest {{partition=0,topic=t},{partition=1,topic=t}}", join(of(0, 10), of(1, 20)) }
    local BOTH = "committed g i {{partition=0,topic=t},{partition=1,topic=t}}"

    local function held(...)
      return { { name = "other", instances = { { name = "i", topics = { { topic = "t", partitions = { 7 } } } } } },
        { name = "g", instances = { { name = "j", topics = { { topic = "t", partitions = { 8 } } } },
          { name = "i", topics = { { topic = "t", partitions = { ... } } } } } } }
    end

    it("commits the noted ends, once, for partitions without a commit", function()
      runs("messages", latest { idle = 3000 }, {
        TOPICS, ENDS, { DELETE, true }, { polls(1000), later(1000, {}) }, { "consumers", held(0, 1) },
        { BOTH, join(of(0, -1), of(1, 15)) }, { commits(position(10, 0)), true },
        { "offsets latest {{partition=0,topic=t}}", of(0, 10) }, { polls(1000), later(1000, {}) },
        { polls(1000), {} }, { DELETE, true },
      })
    end)

    it("starts the instance again if messages arrived in between, and keeps the noted ends", function()
      runs("messages", latest(), {
        TOPICS, ENDS, { DELETE, true }, { polls(1000), {} }, { "consumers", held(0, 1) },
        { BOTH, join(of(0, -1), of(1, -1)) }, { commits(position(10, 0), position(20, 1)), true },
        { "offsets latest {{partition=0,topic=t},{partition=1,topic=t}}", join(of(0, 10), of(1, 21)) },
        { DELETE, true }, { polls(1000), of(1, 20) }, { "> t/1/20" }, { DELETE, true }, { "closed true" },
      }, 1)
    end)

    it("accepts a batch that begins at the noted end, and none that begins after it", function()
      for offset, again in pairs { [20] = false, [21] = true } do
        script.trace = {}
        local lines = { TOPICS, ENDS, { DELETE, true }, { polls(1000), of(1, offset, offset + 1) },
          { "consumers", held(0, 1) }, { "committed g i {{partition=1,topic=t},{partition=0,topic=t}}",
            join(of(1, -1), of(0, 0)) }, { commits(position(20, 1)), true } }
        if again then lines = join(lines, { { DELETE, true }, { polls(1000), of(1, 20, 21) } }) end
        runs("messages", latest(), join(lines, { { "> t/1/20" }, { DELETE, true }, { "closed true" } }), 1)
      end
    end)

    it("reads a partition that was created after the note from its first message", function()
      runs("messages", latest(), {
        TOPICS, ENDS, { DELETE, true }, { polls(1000), of(2, 3) }, { "consumers", held(2) },
        { "committed g i {{partition=2,topic=t}}", of(2, -1) },
        { "offsets earliest {{partition=2,topic=t}}", of(2, 3) },
        { commits(position(3, 2)), true }, { "> t/2/3" }, { DELETE, true }, { "closed true" },
      }, 1)
    end)

    it("asks up to three times what the instance holds, and again with the next poll", function()
      runs("messages", latest { idle = 1500 }, {
        TOPICS, ENDS, { DELETE, true }, { polls(1000), later(1000, {}) }, { "consumers", {} }, { "consumers", held() },
        { "consumers", {} }, { polls(500), {} }, { "consumers", {} }, { "consumers", held(0) },
        { "committed g i {{partition=0,topic=t}}", of(0, 0) }, { DELETE, true },
      })
    end)

    it("starts again if the instance is gone before its first commit", function()
      runs("messages", latest(), {
        TOPICS, ENDS, { DELETE, true }, { polls(1000), {} }, { "consumers", held(0) },
        { "committed g i {{partition=0,topic=t}}", of(0, -1) }, { commits(position(10, 0)), GONE }, { DELETE, true },
        { polls(1000), {} }, { "consumers", held(0) }, { "committed g i {{partition=0,topic=t}}", of(0, -1) },
        { commits(position(10, 0)), true }, { "offsets latest {{partition=0,topic=t}}", of(0, 10) },
        { polls(1000), of(0, 10) }, { "> t/0/10" }, { DELETE, true }, { "closed true" },
      }, 1)
    end)

    it("does not ask for the ends of topics that do not exist", function()
      runs("messages", latest(), {
        { "topics", { u = 1 } }, { DELETE, true }, { polls(1000), of(0, 0) }, { "consumers", held(0) },
        { "committed g i {{partition=0,topic=t}}", of(0, -1) },
        { "offsets earliest {{partition=0,topic=t}}", of(0, 0) },
        { commits(position(0, 0)), true }, { "> t/0/0" }, { DELETE, true }, { "closed true" },
      }, 1)
    end)
  end)

  it("ends if its worker must exit: between two polls, after a failure, and between two messages", function()
    for _, answer in ipairs { {}, AWAY } do
      script.exiting, script.trace = false, {}
      runs("messages", loop(), {
        { DELETE, true }, { asks(1000), {} }, { asks(1000), stops(answer) }, { DELETE, true },
      })
    end
    script.exiting, script.trace = false, {}
    runs("messages", loop(), { { DELETE, true }, { asks(1000), stops(at(0, 1)) }, { DELETE, true } })
  end)

  it("does not wait for a deletion if its worker must exit and the commit failed", function()
    runs("messages", loop(), { { DELETE, true }, { asks(1000), at(0) }, { "> t/0/0" },
      { commits(position(1)), stops(AWAY) }, { commits(position(1)), AWAY } })
  end)

  describe("over a partition", function()
    local function fetches(from, timeout, most, more)
      return ("fetch t 0 %d {%s%stimeout=%d}"):format(from, more or "", most and "max_messages=" .. most .. "," or "",
        timeout)
    end

    local function records(more)
      local options = { topic = "t", partition = 0 }
      for key, value in pairs(more or {}) do options[key] = value end
      return options
    end

    it("ends if its worker must exit: between two polls, and between two messages", function()
      runs("records", records { from = 0 }, { { fetches(0, 1000), {} }, { fetches(0, 1000), stops {} } })
      script.exiting, script.trace = false, {}
      runs("records", records { from = 0 }, { { fetches(0, 1000), stops(at(0, 1)) } })
      script.exiting, script.trace = false, {}
      runs("records", records { from = 0 }, { { fetches(0, 1000), stops(AWAY) } })
    end)

    it("begins with the earliest message, and continues after the last one", function()
      runs("records", records { max_bytes = 9, timeout = 5 }, {
        { "offsets earliest {partition=0,topic=t}", at(3) }, { fetches(3, 5, nil, "max_bytes=9,"), at(3, 7) },
        { "> t/0/3" }, { "> t/0/7" }, { fetches(8, 5, nil, "max_bytes=9,"), at(9) }, { "> t/0/9" }, { "closed true" },
      }, 3)
    end)

    it("asks for `to` first, and for times in milliseconds", function()
      runs("records", records { from = { timestamp = 7 }, to = "latest" }, {
        { "offsets latest {partition=0,topic=t}", at(5) }, { "offsets 7 {partition=0,topic=t}", at(4) },
        { fetches(4, 1000, 1), at(4) }, { "> t/0/4" },
      })
    end)

    -- from, to, limit, max_messages, what the fetch asks for
    for _, row in ipairs { { 0, 999, nil, nil, 999 }, { 0, 1000, nil, nil, nil }, { 0, 1001, nil, nil, nil },
      { 5, 9, nil, 4, 4 }, { 5, 9, nil, 3, 3 }, { 5, 8, nil, 4, 3 }, { 5, 9, 2, 3, 2 }, { 5, 9, 4, 3, 3 },
      { 5, nil, 999, nil, 999 }, { 5, nil, 1000, nil, nil } } do
      it(("asks for %s from %d, to %s, limit %s, max_messages %s"):format(tostring(row[5]), row[1], tostring(row[2]),
        tostring(row[3]), tostring(row[4])), function()
        runs("records", records { from = row[1], to = row[2], limit = row[3], max_messages = row[4] }, {
          { fetches(row[1], 1000, row[5]), at(row[1]) }, { "> t/0/" .. row[1] }, { "closed true" },
        }, 1)
      end)
    end

    it("ends after its idle time", function()
      runs("records", records { from = 0, idle = 1500 }, {
        { fetches(0, 1000), later(1000, {}) }, { fetches(0, 500), later(500, at(0)) }, { "> t/0/0", 5000 },
        { fetches(1, 1000), later(1000, {}) }, { fetches(1, 500), {} },
      })
    end)

    it("retries temporary failures", function()
      runs("records", records { from = 0, limit = 1 }, {
        { fetches(0, 1000, 1), AWAY }, { "sleep 100" }, { fetches(0, 1000, 1), fails "connection_lost" },
        { "sleep 200" }, { fetches(0, 1000, 1), at(0) }, { "> t/0/0" },
      })
      script.trace = {}
      runs("records", records { from = 0, idle = 50 }, {
        { fetches(0, 50), AWAY }, { "sleep 50" }, { fetches(0, 50), AWAY }, { "raises unavailable" },
      })
    end)

    it("grows back to the server's maximum", function()
      local lines = { { fetches(0, 1000), BROKEN } }
      for offset = 0, 7 do
        lines[#lines + 1] = { fetches(offset, 1000, 500), at(offset) }
        lines[#lines + 1] = { "> t/0/" .. offset }
      end
      runs("records", records { from = 0 }, join(lines, { { fetches(8, 1000), at(8) }, { "> t/0/8" },
        { "closed true" } }), 9)
    end)

    it("grows back to its own maximum, and not beyond it", function()
      local lines = { { fetches(0, 1000, 3), BROKEN } }
      for offset = 0, 15 do
        lines[#lines + 1] = { fetches(offset, 1000, offset < 8 and 1 or 2), at(offset) }
        lines[#lines + 1] = { "> t/0/" .. offset }
      end
      table.insert(lines, 20, { fetches(9, 1000, 2), {} }) -- an empty response shows nothing
      for offset = 16, 24 do
        lines[#lines + 1] = { fetches(offset, 1000, 3), at(offset) }
        lines[#lines + 1] = { "> t/0/" .. offset }
      end
      runs("records", records { from = 0, max_messages = 3 }, join(lines, { { "closed true" } }), 25)
    end)

    it("halves a batch that cannot be read, down to the message at fault, and grows again", function()
      local lines = { { fetches(0, 1000, 4), LARGE }, { fetches(0, 1000, 2), LARGE } }
      for offset = 0, 7 do
        lines[#lines + 1] = { fetches(offset, 1000, 1), at(offset) }
        lines[#lines + 1] = { "> t/0/" .. offset }
      end
      for offset = 8, 15 do
        lines[#lines + 1] = { fetches(offset, 1000, 2), at(offset) }
        lines[#lines + 1] = { "> t/0/" .. offset }
      end
      runs("records", records { from = 0, max_messages = 4 }, join(lines, { { fetches(16, 1000, 4), at(16) },
        { "> t/0/16" }, { fetches(17, 1000, 4), LARGE }, { fetches(17, 1000, 2), LARGE },
        { fetches(17, 1000, 1), LARGE },
        { 'raises response_too_large (after topic "t", partition 0, offset 16): this message cannot be read; raise '
          .. "max_response_bytes" } }))
    end)
  end)
end)

describe("the options of a loop", function()
  local client

  setup(function() client = kafka.new { url = "http://127.0.0.1:1" } end)
  teardown(function() client:close() end)

  local LOOP = { group = "g", instance = "i", topic = "t" }
  local MINIMUM = { timeout = 0, max_messages = 1, max_bytes = 1, session_timeout = 1000, limit = 0, idle = 0 }

  local function takes(method, base, field, value)
    local given = {}
    for key, kept in pairs(base) do given[key] = kept end
    given[field] = value
    local fine, problem = pcall(function()
      local step = client[method](client, given)
      return step
    end)
    return fine, fine or tostring(problem)
  end

  for method, base in pairs { messages = LOOP, batches = LOOP, records = { topic = "t", partition = 0 } } do
    it("have a minimum each, which is accepted: " .. method, function()
      for field, least in pairs(MINIMUM) do
        if method ~= "records" or field ~= "session_timeout" then
          assert.is_true(takes(method, base, field, least), field)
          local fine, problem = takes(method, base, field, least - 1)
          assert.is_false(fine, field)
          assert.truthy(problem:find(("(%s: integer >= %d expected, got %d)"):format(field, least, least - 1), 1, true),
            problem)
        end
      end
    end)
  end

  it("are required if a loop needs them", function()
    for field in pairs { group = 1, instance = 1 } do
      local given = { group = "g", instance = "i", topic = "t" }
      given[field] = nil
      local fine, problem = pcall(client.messages, client, given)
      assert.is_false(fine)
      assert.truthy(problem:find(field .. ": non-empty string expected, got nil", 1, true), problem)
    end
    local _, problem = pcall(client.records, client, { topic = "t" })
    assert.truthy(problem:find("partition: integer >= 0 expected, got nil", 1, true), problem)
    _, problem = pcall(client.records, client, { partition = 0 })
    assert.truthy(problem:find("topic: non-empty string expected, got nil", 1, true), problem)
  end)

  it("blame the line of a method that is called with a dot", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local function call(method)
      local step = client[method] { topic = "t" }
      return step
    end
    for _, method in ipairs { "messages", "batches", "records" } do
      local fine, problem = pcall(call, method)
      assert.is_false(fine)
      assert.truthy(problem:find(("loops_spec.lua:%d: calling '%s' on table: write client:%s{…}"):format(line, method,
        method), 1, true), problem)
    end
  end)

  it("are not to blame for a closed client: the line is that of the step", function()
    for method, base in pairs { messages = LOOP, batches = LOOP, records = { topic = "t", partition = 0 } } do
      local closed = kafka.new { url = "http://127.0.0.1:1" }
      closed:close()
      local step, state = closed[method](closed, base)
      local line = debug.getinfo(1, "l").currentline + 1
      local fine, problem = pcall(function() local _ = step(state) end)
      assert.is_false(fine)
      assert.truthy(problem:find(("loops_spec.lua:%d: client is closed"):format(line), 1, true), problem)
    end
  end)

  it("name an instance by signs that are known", function()
    for _, method in ipairs { "messages", "batches" } do
      local fine, problem = takes(method, LOOP, "instance", "worker-%x")
      assert.is_false(fine)
      assert.truthy(problem:find("loops_spec.lua:%d+: bad argument #1 to '" .. method
        .. "' %(instance: %%p, %%w or %%%% expected, got '%%x'%)$"), problem)
    end
  end)

  it("for a partition accept offsets and times from 0", function()
    for _, field in ipairs { "from", "to" } do
      assert.is_true(takes("records", { topic = "t", partition = 0 }, field, 0))
      assert.is_true(takes("records", { topic = "t", partition = 0 }, field, { timestamp = 0 }))
      for _, wrong in ipairs { -1, 0.5, "soon", { timestamp = -1 }, { timestamp = 0.5 }, {} } do
        assert.is_false(takes("records", { topic = "t", partition = 0 }, field, wrong), tostring(wrong))
      end
    end
    assert.is_false(takes("records", { topic = "t", partition = 0 }, "partition", -1))
  end)

  it("accept three starting points for a group", function()
    for _, from in ipairs { "earliest", "latest", "none" } do assert.is_true(takes("messages", LOOP, "from", from)) end
  end)
end)
