-- for: proxy.c
-- C9: proxies of the environment and of the option, and C10: what children of the process inherit.
-- canned_server.lua plays the proxy.

local canned = require "spec.support.canned_server"
local free_port = require "spec.support.free_port"
local kafka = require "upstash.kafka"
local server_support = require "spec.support.server"
local shell = require "spec.support.shell"

-- A host that no name server knows.
local ELSEWHERE = "http://broker.invalid:8080"

local function options_of(more)
  local options = { url = ELSEWHERE, username = "u", password = "secret", retries = 0 }
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

describe("C9: a client", function()
  it("sends its requests to the proxy of the option", function()
    local stub = canned.start { "accept", "read", canned.answer(200, '{"t":3}'), "close" }
    local client = kafka.new(options_of { proxy = stub.url })
    assert.same({ t = 3 }, client:topics())
    assert.equal(stub.url, client:settings().proxy)
    client:close()
    assert.truthy(stub:finish()[1]:find "^GET http://broker%.invalid:8080/topics ")
  end)

  it("refuses a proxy that cannot be used, when it is made, and names the option", function()
    for _, proxy in ipairs {
      "nonsense:", "ftp://me:hidden@proxy:80", "http://", "http://me:hidden@:80", "http://me:hidden@proxy:0",
      "http://me:hidden@proxy:65536", "http://me:hidden@proxy:http", "http://me:hidden@pro xy", "[::g]:80",
    } do
      for _, url in ipairs { ELSEWHERE, "http://127.0.0.1:80" } do
        local fine, message = pcall(kafka.new, options_of { url = url, proxy = proxy })
        assert.is_false(fine, proxy)
        assert.truthy(message:find("proxy: ", 1, true), message)
        assert.is_nil(message:find("hidden", 1, true), message)
      end
    end
  end)

  -- What libcurl would do with them: the check and libcurl agree.
  it("takes every kind of proxy that libcurl does", function()
    local port = free_port()
    for _, proxy in ipairs {
      "127.0.0.1:%d", "http://127.0.0.1:%d", "HTTP://me:hidden@127.0.0.1:%d/x", "https://127.0.0.1:%d",
      "socks4://127.0.0.1:%d", "socks4a://127.0.0.1:%d", "socks5://127.0.0.1:%d", "socks5h://me:hidden@127.0.0.1:%d",
      "[::1]:%d", "localhost:%d",
    } do
      local client = kafka.new(options_of { url = "http://192.0.2.1", proxy = proxy:format(port) })
      local _, message, details = client:topics()
      assert.equal("connect_failed", details.code, proxy .. ": " .. message)
      assert.truthy(message:find("(through the proxy ", 1, true), message)
      client:close()
    end
  end)

  it("names the proxy in its errors, without the proxy's credentials", function()
    local port = free_port()
    local client = kafka.new(options_of { proxy = "http://me:hidden@127.0.0.1:" .. port .. "/path" })
    local _, message, details = client:topics()
    assert.equal("connect_failed", details.code)
    assert.truthy(message:find("(through the proxy http://127.0.0.1:" .. port .. ")", 1, true), message)
    assert.is_nil(message:find "hidden")
    assert.equal("http://127.0.0.1:" .. port, client:settings().proxy)
    client:close()
    local stub = canned.start { "accept", "read", canned.answer(407, "<html>"), "close" }
    client = kafka.new(options_of { proxy = stub.url })
    _, message, details = client:topics()
    assert.equal(407, details.status)
    assert.truthy(message:find("(through the proxy " .. stub.url .. ")", 1, true), message)
    client:close()
    stub:finish()
  end)

  it("does not name the proxy in an error of its own: a response that is too large", function()
    local stub = canned.start { "accept", "read", canned.answer(200, '{"t":3}'), "close" }
    local client = kafka.new(options_of { proxy = stub.url, max_response_bytes = 6 })
    local _, message, details = client:topics()
    assert.same({ "response_too_large", "the response is over max_response_bytes" }, { details.code, message })
    client:close()
    stub:finish()
  end)

  it("goes through the proxy of the option whatever no_proxy says", function()
    local stub = canned.start { "accept", "read", canned.answer(200, '{"t":3}'), "close" }
    local program = [[
      local client = require("upstash.kafka").new { url = "http://broker.invalid:8080", username = "u", password = "p",
        retries = 0, proxy = %q }
      print(assert(client:topics()).t)
    ]]
    local _, out, err = shell.run(shell.lua .. " -e " .. shell.quote(program:format(stub.url)),
      { environment = { no_proxy = "broker.invalid", NO_PROXY = "*" } })
    assert.same({ "3\n", "" }, { out, err })
    stub:finish()
  end)

  it("does not name the proxy in an error of the server", function()
    local stub = canned.start { "accept", "read", canned.answer(404, '{"error":"no","status":404}'), "close" }
    local client = kafka.new(options_of { proxy = stub.url })
    assert.equal("no", select(2, client:topics()))
    client:close()
    stub:finish()
  end)

  it("names the proxy that refuses what its producer sends, and not one that passes on a refusal", function()
    for body, named in pairs { ["<html>"] = true, ['{"error":"no","status":409}'] = false } do
      local stub = canned.start { "accept", "read", canned.answer(409, body), "close" }
      local client = kafka.new(options_of { proxy = stub.url })
      local producer = client:producer { topic = "t", log = false, linger = 0 }
      assert(producer:send "v")
      assert.is_nil((producer:flush(60000)))
      local failure = producer:failures()[1]
      assert.equal(409, failure.status)
      assert.equal(named, failure.error:find("(through the proxy " .. stub.url .. ")", 1, true) ~= nil, failure.error)
      producer:close()
      client:close()
      stub:finish()
    end
  end)

  it("shows the proxy of the option among its settings, not that of the environment", function()
    local program = [[
      local new = require("upstash.kafka").new
      print(new { url = "http://broker.invalid" }:settings().proxy,
        new { url = "http://broker.invalid", proxy = "http://me:hidden@two" }:settings().proxy,
        new { url = "http://broker.invalid", proxy = "" }:settings().proxy)
    ]]
    local _, out, err = shell.run(shell.lua .. " -e " .. shell.quote(program),
      { environment = { http_proxy = "http://one", all_proxy = "http://one" } })
    assert.same({ "nil\thttp://two\tnil\n", "" }, { out, err })
  end)

  it("names the proxy in what its producer reports", function()
    local client = kafka.new(options_of { proxy = "http://127.0.0.1:" .. free_port(), retry_delay = 1 })
    local producer = client:producer { topic = "t", message_timeout = 500, log = false }
    assert(producer:send "v")
    assert.truthy(select(2, producer:flush(60000)):find("(through the proxy http://127.0.0.1:", 1, true))
    producer:close()
    client:close()
  end)

  -- Runs a program with variables of proxies. Nothing listens at the proxy.
  local function run(variables, options)
    local program = [[
      local client = require("upstash.kafka").new { url = $url, username = $username, password = $password, retries = 0,
        proxy = $proxy }
      print(select(2, client:topics()) or "fine")
    ]]
    program = program:gsub("%$(%w+)", function(name)
      return options[name] and ("%q"):format(options[name]) or "nil"
    end)
    local _, out, err = shell.run(shell.lua .. " -e " .. shell.quote(program), { environment = variables })
    assert.equal("", err)
    return out
  end

  it("reaches a server on this machine without the environment's proxy, and without the option's", function()
    local proxy = "http://127.0.0.1:" .. free_port()
    local server = server_support.start()
    local port = server.url:match ":(%d+)$"
    for _, host in ipairs { "127.0.0.1", "localhost", "LOCALHOST", "127.1" } do
      local access = server:access { url = "http://" .. host .. ":" .. port }
      assert.equal("fine\n", run({ http_proxy = proxy, all_proxy = proxy }, access), host)
      access.proxy = proxy
      assert.equal("fine\n", run({}, access), host)
    end
    server:stop()
    assert.is_nil(run({ http_proxy = proxy }, { url = "http://unix:/nowhere" }):find "proxy")
  end)

  it("uses and names the environment's proxy elsewhere, unless no_proxy or the option forbids it", function()
    local proxy = "http://me:hidden@127.0.0.1:" .. free_port()
    local named = "(through the proxy " .. proxy:gsub("me:hidden@", "") .. ")"
    for _, row in ipairs {
      { { http_proxy = proxy }, named = true }, { { all_proxy = proxy }, named = true },
      { { ALL_PROXY = proxy }, named = true }, { { HTTP_PROXY = proxy } }, { { https_proxy = proxy } },
      { { http_proxy = proxy, no_proxy = "other,broker.invalid" } }, { { http_proxy = proxy, NO_PROXY = ".invalid" } },
      { { http_proxy = proxy, no_proxy = "*" } }, { { http_proxy = proxy, no_proxy = "oker.invalid" }, named = true },
      { { http_proxy = proxy }, proxy = "" },
      { { no_proxy = "*" }, proxy = proxy, named = true }, -- no_proxy is about the environment's
    } do
      local out = run(row[1], { url = ELSEWHERE, proxy = row.proxy })
      assert.equal(row.named or false, out:find(named, 1, true) ~= nil, out)
      assert.is_nil(out:find "hidden")
      if not row.named then assert.truthy(out:find "resolve", out) end
    end
    local out = run({ HTTPS_PROXY = proxy }, { url = "https://broker.invalid" })
    assert.truthy(out:find(named, 1, true), out)
  end)
end)

describe("C10: a child process", function()
  it("inherits no descriptor of a client, its loops and its producers", function()
    local server = server_support.start()
    local topic, client = server:topic(1, 1), server:client()
    local function descriptors()
      local pipe = io.popen "ls /proc/self/fd"
      local list = pipe:read "*a"
      pipe:close()
      return list
    end
    local before = descriptors()
    local producer = client:producer { topic = topic, name = server_support.name "sender" }
    assert(producer:send "v")
    assert(producer:flush(60000))
    local next_message, loop = client:messages { group = "g", instance = "i", topic = topic, from = "earliest",
      stop_on_signal = true }
    assert(next_message(loop))
    assert.equal(before, descriptors())
    assert(loop:close())
    producer:close()
    client:close()
    server:stop()
  end)
end)
