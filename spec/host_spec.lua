-- Where the client runs. For what it does inside nginx see nginx_calls_spec.lua.

local core = require "upstash.kafka.core"
local globals = require "_G" -- busted gives a spec file another _G

local NAME = "upstash.kafka.host"

-- Loads the host in a program with this global ngx.
local function host_of(ngx)
  local loaded, before = package.loaded[NAME], rawget(globals, "ngx")
  package.loaded[NAME] = nil
  rawset(globals, "ngx", ngx)
  local host = require(NAME)
  rawset(globals, "ngx", before)
  package.loaded[NAME] = loaded
  return host
end

local function nothing() end

describe("the host", function()
  it("is nginx only if the global ngx is the one of nginx", function()
    local function ngx(missing)
      local all = { config = { subsystem = "stream" }, get_phase = nothing, socket = {} }
      if missing then all[missing] = nil end
      return all
    end
    assert.is_true(host_of(ngx()).inside)
    assert.is_false(host_of(nil).inside)
    for _, missing in ipairs { "config", "get_phase", "socket" } do assert.is_false(host_of(ngx(missing)).inside) end
    for _, other in ipairs { 5, "ngx", { config = {} }, { config = {}, get_phase = nothing, socket = {} } } do
      assert.is_false(host_of(other).inside)
    end
  end)

  it("in plain Lua sleeps until a signal, and has no worker and no phase", function()
    local host, slept, sleep = host_of(nil), {}, core.sleep
    local signals = { sleep = function(_, milliseconds) slept[#slept + 1] = "until signal " .. milliseconds end }
    function core.sleep(milliseconds) slept[#slept + 1] = milliseconds end
    host.sleep(5)
    host.sleep_until(600, {})
    host.sleep_until(700, { signals = signals })
    core.sleep = sleep
    assert.same({ 5, 600, "until signal 700" }, slept)
    assert.is_false(host.exiting())
    assert.is_nil(host.worker())
    assert.is_nil(host.phase())
    assert.same({ math.huge, "" }, { host.poll_max, host.environment_note })
  end)

  it("in plain Lua calls the client, through the signals that it watches", function()
    local host = host_of(nil)
    local client = { topics = function(self, ...) return self.name, ... end, name = "client" }
    local signals = { call = function(_, method, ...) return "until a signal", method(...) end }
    assert.same({ true, "client", 1, 2 }, { host.pcall(client, {}, "topics", 1, 2) })
    assert.same({ true, "until a signal", "client", 1, 2 },
      { host.pcall(client, { signals = signals }, "topics", 1, 2) })
  end)

  it("in nginx sleeps in slices, until the wait must end", function()
    local slept, exiting, most = {}, false, nil
    local function stopping() return exiting end
    local host = host_of {
      config = { subsystem = "http" }, get_phase = function() return "timer" end, socket = {},
      worker = { exiting = function() return exiting end, id = function() return 7 end },
      sleep = function(seconds)
        slept[#slept + 1] = seconds * 1000
        if #slept == most then exiting = true end
      end,
    }
    host.sleep(5)
    assert.same({ 5 }, slept)
    for _, row in ipairs { { 0, {} }, { 1, { 1 } }, { 250, { 250 } }, { 251, { 250, 1 } } } do
      slept = {}
      host.sleep_until(row[1], { stopping = stopping })
      assert.same(row[2], slept)
    end
    slept, most = {}, 2
    host.sleep_until(1000, { stopping = stopping })
    assert.same({ 250, 250 }, slept)
    host.sleep_until(1000, { stopping = stopping })
    assert.equal(2, #slept)
    assert.same({ true, 7, "timer", 500 }, { host.exiting(), host.worker(), host.phase(), host.poll_max })
  end)
end)
