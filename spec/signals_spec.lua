-- for: signals_lua.c. What core.watch_signals returns. Loops that signals end: loop_stop_spec.lua.

local canned = require "spec.support.canned_server"
local core = require "upstash.kafka.core"
local shell = require "spec.support.shell"

describe("core.watch_signals", function()
  local function send(name)
    assert(os.execute(("kill -%s %d"):format(name, core.process_id())))
  end

  it("tells which signal has arrived, until it is closed", function()
    local watch = assert(core.watch_signals { "USR2", "USR1" })
    assert.is_nil(watch:arrived())
    send "USR2"
    assert.equal("USR2", watch:arrived())
    assert.equal("USR2", watch:arrived())
    watch:close()
    assert.equal("nil", tostring(watch:arrived()))
    watch:close()
  end)

  it("has watches of their own for different signals", function()
    local one, other = assert(core.watch_signals { "USR1" }), assert(core.watch_signals { "USR1", "USR2" })
    local third = assert(core.watch_signals { "USR2" })
    send "USR1"
    assert.equal("USR1", one:arrived())
    assert.equal("USR1", other:arrived())
    assert.is_nil(third:arrived())
    one:close()
    one:close() -- once
    assert.equal("USR1", other:arrived())
    other:close()
    third:close()
  end)

  it("is watched once for each watch, even if its list names it twice", function()
    local watch = assert(core.watch_signals { "USR1", "USR1" })
    watch:close()
    local again = assert(core.watch_signals { "USR1" })
    assert.is_nil(again:arrived())
    send "USR1"
    assert.equal("USR1", again:arrived())
    again:close()
    assert(core.watch_signals {}):close()
  end)

  it("ends with its collection", function()
    local other = assert(core.watch_signals { "USR2" })
    do
      local _ = assert(core.watch_signals { "USR1" })
      send "USR1"
    end
    collectgarbage()
    collectgarbage()
    send "USR2" -- would be a second signal
    assert.equal("USR2", other:arrived())
    other:close()
  end)

  it("sleeps until a signal, or for its time", function()
    local watch = assert(core.watch_signals { "USR1" })
    assert.is_true(watch:sleep(0))
    local before = core.now()
    assert.is_true(watch:sleep(20.9))
    assert.is_true(core.now() - before >= 20)
    send "USR1"
    assert.is_false(watch:sleep(86400000))
    for _, wrong in ipairs { -1, 86400001 } do
      assert.error_matches(function() watch:sleep(wrong) end,
        "bad argument #1 to 'sleep' %(0 to 86400000 milliseconds expected%)")
    end
    watch:close()
  end)

  it("calls a method, which a signal cancels, and no other call of that client", function()
    local watch = assert(core.watch_signals { "USR1" })
    local quiet = canned.start { "accept", "gone" }
    local stub = canned.start { "accept", "read", canned.answer(200, '{"t":1}'), "read",
      canned.answer(200, '{"t":2}'), "close" }
    local client, other = core.new { url = stub.url, retries = 0 }, core.new { url = quiet.url, retries = 3 }
    local fine, text = pcall(watch.call, watch, client.produce, client, 5)
    assert.is_false(fine)
    assert.truthy(text:find("bad argument #1 to 'produce' (topic: string expected, got number)", 1, true), text)
    assert.same({ t = 1 }, watch:call(client.topics, client))
    send "USR1"
    local topics, message, details = watch:call(other.topics, other)
    assert.is_nil(topics)
    assert.equal("a signal ended the wait", message)
    assert.same({ error = message, code = "cancelled", retriable = details.retriable }, details)
    assert.same({ t = 2 }, client:topics())
    watch:close()
    other:close()
    client:close()
    quiet:finish()
    stub:finish()
  end)

  it("ends the wait for the next attempt of a call", function()
    local watch = assert(core.watch_signals { "USR1" })
    local stub = canned.start { "accept", "read", canned.answer(503, '{"error":"later","status":503}'), "close" }
    local client = core.new { url = stub.url, retries = 1, retry_delay = 86400000, retry_delay_max = 86400000,
      timeout = 86400000 }
    os.execute(("(sleep 0.2; kill -USR1 %d) &"):format(core.process_id()))
    local topics, message, details = watch:call(client.topics, client)
    assert.is_nil(topics)
    assert.same({ error = message, code = "cancelled", retriable = details.retriable }, details)
    watch:close()
    client:close()
    stub:finish()
  end)

  it("returns what the method returns, and passes all arguments on", function()
    local watch, client = assert(core.watch_signals { "USR1" }), core.new { url = "http://127.0.0.1:1" }
    local function method(self, ...) return self == client, select("#", ...), ... end
    assert.same({ true, 3, 1, nil, "x", n = 5 }, (function(...) return { n = select("#", ...), ... } end)(
      watch:call(method, client, 1, nil, "x")))
    assert.equal(0, select("#", watch:call(function() end, client)))
    assert.error_matches(function() watch:call("topics", client) end, "function expected")
    assert.error_matches(function() watch:call(method, {}) end, "upstash.kafka.client expected")
    watch:close()
    client:close()
  end)

  it("refuses what is no list of signals", function()
    assert.has_error(function() core.watch_signals "TERM" end,
      "bad argument #1 to 'watch_signals' (table expected, got string)")
    assert.has_error(function() core.watch_signals { "TERM", "KILL" } end, "bad argument #1 to 'watch_signals' "
      .. '(names[2]: "INT", "TERM", "HUP", "QUIT", "USR1" or "USR2" expected, got "KILL")')
    assert.has_error(function() core.watch_signals { 15 } end, "bad argument #1 to 'watch_signals' "
      .. '(names[1]: "INT", "TERM", "HUP", "QUIT", "USR1" or "USR2" expected, got number)')
    local watch = assert(core.watch_signals { "USR1" })
    assert.equal("protected", getmetatable(watch))
    assert.error_matches(function() watch.arrived {} end, "upstash.kafka.signals expected")
    watch:close()
  end)

  it("fails if no descriptors are left", function()
    local status, out, err = shell.run("ulimit -n 4; exec " .. shell.lua .. " -e " .. shell.quote [[
      local core = require "upstash.kafka.core"
      local watch, text, details = core.watch_signals { "TERM", "INT" }
      print(watch, text, details.code)
    ]])
    assert.equal(0, status, err)
    assert.equal("nil\tsignals cannot be watched: no descriptors left\ttoo_many\n", out)
  end)

  it("that failed leaves nothing behind: a later one works", function()
    local status, out, err = shell.run("ulimit -n 6; exec " .. shell.lua .. " -e " .. shell.quote [[
      local core = require "upstash.kafka.core"
      assert(not core.watch_signals { "USR1", "USR2" })
      collectgarbage()
      collectgarbage()
      local watch = assert(core.watch_signals { "USR1" })
      os.execute("kill -USR1 " .. core.process_id())
      print(watch:arrived())
    ]])
    assert.equal(0, status, err)
    assert.equal("USR1\n", out)
  end)
end)
