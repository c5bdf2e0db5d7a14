-- for: server_texts.c
--
-- The option behind_proxy of server.start and of `serve`.

local folder = require "spec.support.folder"
local server = require "upstash.kafka.server"
local shell = require "spec.support.shell"

local function start(options)
  local all = { listen = "127.0.0.1:0", data = folder.name(), username = "u", password = "p" }
  for name, value in pairs(options) do all[name] = value end
  local handle, message, details = server.start(all)
  if handle then handle:stop() end
  folder.remove(all.data)
  return handle ~= nil, message, details
end

describe("E6: behind_proxy", function()
  it("is one address or a list", function()
    assert.is_true(start { behind_proxy = "192.0.2.1" })
    assert.is_true(start { behind_proxy = { "192.0.2.1", "2001:db8::7", "unix" } })
  end)

  it("names what is no address", function()
    local started, message, details = start { behind_proxy = { "192.0.2.1", "10.0.0.0/8" } }
    assert.is_false(started)
    assert.equal('behind_proxy: an IPv4 or IPv6 address or "unix" expected, got "10.0.0.0/8"', message)
    assert.equal("bad_request", details.code)
  end)

  for what, case in pairs {
    ["a number"] = { 5, "behind_proxy: string or list expected, got number" },
    ["a list of booleans"] = { { "::1", true }, "behind_proxy[2]: string expected, got boolean" },
    ["an empty list"] = { {}, "behind_proxy: an address expected, got an empty list" },
  } do
    it("raises for " .. what, function()
      local fine, message = pcall(start, { behind_proxy = case[1] })
      assert.is_false(fine)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end)
  end

  it("can be set on the command line", function()
    local data = folder.name()
    local status, _, errors = shell.upstash_kafka { "serve", "--data", data, "--behind-proxy", "::1",
      "--behind-proxy", "nonsense" }
    assert.equal(1, status)
    assert.is_truthy(errors:find('expected, got "nonsense"', 1, true), errors)
    folder.remove(data)
  end)
end)
