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

  it("in plain Lua sleeps without a break, and has no worker and no phase", function()
    local host, slept, sleep = host_of(nil), {}, core.sleep
    function core.sleep(milliseconds) slept[#slept + 1] = milliseconds end
    host.sleep(5)
    local whole = host.sleep_until_exit(600)
    core.sleep = sleep
    assert.same({ 5, 600 }, slept)
    assert.is_true(whole)
    assert.is_false(host.exiting())
    assert.is_nil(host.worker())
    assert.is_nil(host.phase())
    assert.same({ math.huge, "", {} }, { host.poll_max, host.environment_note, host.until_exit })
  end)

  it("in nginx sleeps in slices, until the worker must exit", function()
    local slept, exiting, most = {}, false, nil
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
      assert.is_true(host.sleep_until_exit(row[1]))
      assert.same(row[2], slept)
    end
    slept, most = {}, 2
    assert.is_false(host.sleep_until_exit(1000))
    assert.same({ 250, 250 }, slept)
    assert.is_false(host.sleep_until_exit(1000))
    assert.equal(2, #slept)
    assert.same({ true, 7, "timer", 1000 }, { host.exiting(), host.worker(), host.phase(), host.poll_max })
  end)
end)
