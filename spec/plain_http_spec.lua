-- for: server_texts.c
--
-- The options behind_proxy and insecure of server.start and of `serve`.

local certificates = require "spec.support.certificates"
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

describe("E6: plain HTTP on an address that others can reach", function()
  local REFUSAL = "listen: %s: others can reach this address, and plain HTTP shows them passwords: serve TLS "
    .. "(--tls-cert, --tls-key), name the proxy that does (--behind-proxy ADDRESS), or accept it (--insecure)"

  for _, listen in ipairs { "0.0.0.0:0", ":0" } do
    it("is refused: " .. listen, function()
      local started, message, details = start { listen = listen }
      assert.is_false(started)
      assert.equal(REFUSAL:format(listen), message)
      assert.equal("bad_request", details.code)
    end)
  end

  it("is served with insecure, and with behind_proxy", function()
    assert.is_true(start { listen = "0.0.0.0:0", insecure = true })
    assert.is_true(start { listen = "0.0.0.0:0", behind_proxy = "192.0.2.1" })
    assert.is_false((start { listen = "0.0.0.0:0", insecure = false }))
  end)

  it("is no matter with TLS", function()
    local place = folder.make()
    local cert, key = certificates.self_signed(place, "here")
    assert.is_true(start { listen = "0.0.0.0:0", tls_cert = cert, tls_key = key })
    folder.remove(place)
  end)

  it("is no loopback address and no unix socket", function()
    local place = folder.make()
    for _, listen in ipairs { "127.0.0.1:0", "127.1.2.3:0", "localhost:0", "unix:" .. place .. "/socket" } do
      assert.is_true(start { listen = listen })
    end
    folder.remove(place)
  end)

  it("is refused and allowed on the command line", function()
    local data = folder.name()
    local status, _, errors = shell.upstash_kafka { "serve", "--data", data, "--listen", "0.0.0.0:0" }
    assert.equal(1, status)
    assert.equal("upstash-kafka: serve: " .. REFUSAL:format "0.0.0.0:0" .. "\n", errors)
    local process = shell.start(("%s serve --listen 0.0.0.0:0 --insecure --data %s --username u --password p"):format(
      shell.command, data))
    assert.is_truthy(process:expect "listening on (http://0%.0%.0%.0:%d+)")
    process:signal()
    process:wait()
    process:remove()
    folder.remove(data)
  end)
end)

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
