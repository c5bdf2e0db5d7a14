-- A server in trouble stalls no other request: while calls wait for a server that hangs, refuses or
-- is slow, the same single worker answers other requests before any of these calls ends. bench/
-- measures how soon.

local http = require "spec.support.http"
local socket = require "socket"
local support = require "spec.support.nginx"

if not support.runs_here then return pending(support.NEEDS) end

local CALLS = 20   -- that wait at once
local PROBES = 200

local LOCATIONS = [[
  location = /produce {
    content_by_lua_block {
      local client = require("upstash.kafka").new { url = "$server", timeout = $timeout, retries = 1000, retry_delay = 50,
        retry_delay_max = 50 }
      local result, _, details = client:produce("topic", ("x"):rep(100000))
      ngx.print(result and "produced" or details.code)
    }
  }
  location = /consume {
    content_by_lua_block {
      local client = require("upstash.kafka").new { url = "$server", timeout = $timeout, retries = 1000, retry_delay = 50,
        retry_delay_max = 50 }
      local result, _, details = client:consume("group", "instance", "topic", { timeout = 0 })
      ngx.print(result and "consumed" or details.code)
    }
  }
]]

-- Takes 5 s to answer, without blocking its own worker.
local SLOW = [[
  location /produce { content_by_lua_block {
    ngx.sleep(5)
    ngx.req.read_body()
    ngx.print '[{"topic":"topic","partition":0,"offset":0,"timestamp":0}]'
  } }
  location /consume { content_by_lua_block {
    ngx.sleep(5)
    ngx.print "[]"
  } }
]]

describe("in nginx, while the server", function()
  teardown(support.stop_all)

  -- Makes calls of both kinds and probes while they wait. Returns the outcomes of the calls, as a
  -- set.
  local function probe(url, timeout)
    local nginx = support.start { locations = LOCATIONS, values = { server = url, timeout = timeout } }
    local pending = {}
    for number = 1, CALLS do pending[number] = nginx:begin(number % 2 == 0 and "/produce" or "/consume") end
    local answered = 0 -- while all calls wait; a worker that is blocked answers none
    repeat
      assert.equal(200, nginx:get("/alive").status)
      local over = pcall(http.collect, pending, 0.001, 1)
      if not over then answered = answered + 1 end
    until over or answered == PROBES
    assert.is_true(answered > 0, "a call was over before the first probe")
    http.collect(pending)
    nginx:stop()
    local bodies = {}
    for _, call in ipairs(pending) do bodies[call.response.body] = true end
    return bodies
  end

  it("hangs, only the calls wait", function()
    local listener = assert(socket.tcp())
    assert(listener:bind("127.0.0.1", 0))
    assert(listener:listen(CALLS * 2))
    local _, port = listener:getsockname()
    assert.same({ timeout = true }, probe("http://127.0.0.1:" .. port, 3000))
    listener:close()
  end)

  it("refuses, only the calls wait", function()
    -- Bound, but not listening: connections are refused, and no other process gets the port.
    local held = assert(socket.tcp())
    assert(held:bind("127.0.0.1", 0))
    local _, port = held:getsockname()
    assert.same({ connect_failed = true }, probe("http://127.0.0.1:" .. port, 3000))
    held:close()
  end)

  it("takes 5 s to respond, only the calls wait", function()
    local slow = support.start { locations = SLOW }
    assert.same({ produced = true, consumed = true }, probe(slow.url, 15000))
    slow:stop()
  end)
end)
