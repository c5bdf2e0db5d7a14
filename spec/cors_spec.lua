-- for: server_texts.c
--
-- The option cors_origin of server.start and of `serve`. What every server does for browsers is in
-- spec/contract.

local http = require "spec.support.http"
local server = require "upstash.kafka.server"
local shell = require "spec.support.shell"
local folder = require "spec.support.folder"
local support = require "spec.support.server"

local APP, LOCAL, OTHER = "https://app.example.com", "http://localhost:3000", "https://evil.example"

local running, client

local function start(origins)
  running = support.start { cors_origin = origins }
  client = http.client(running.url, running.username, running.password)
end

local function ask(origin, path, options)
  local all = { headers = { Origin = origin } }
  for name, value in pairs(options or {}) do
    if name == "headers" then
      for header, text in pairs(value) do all.headers[header] = text end
    else
      all[name] = value
    end
  end
  return client:request(all.method or "GET", path or "/topics", all)
end

local function admits(origin, header)
  local response = ask(origin)
  assert.equal(200, response.status, response.body)
  assert.equal(header, response.headers["access-control-allow-origin"])
end

local function refuses(origin)
  local response = ask(origin)
  assert.equal(403, response.status)
  assert.is_truthy(response.body:find(origin, 1, true), response.body)
  assert.is_nil(response.headers["access-control-allow-origin"])
  assert.is_nil(response.headers["access-control-expose-headers"])
end

describe("B5: cors_origin", function()
  after_each(function()
    if running then running:stop() end
    running = nil
  end)

  it("is * by default and when given", function()
    assert.equal("*", server.defaults.cors_origin)
    for _, origins in ipairs { false, "*" } do
      start(origins or nil)
      admits(APP, "*")
      admits("null", "*")
      running:stop()
    end
    running = nil
  end)

  it("admits the origins of a list, each under its own name, and no other", function()
    start { "https://App.Example.com", LOCAL }
    admits(APP, APP)
    admits(LOCAL, LOCAL)
    for _, origin in ipairs { OTHER, "null", "https://app.example.com.evil.example", "http://app.example.com" } do
      refuses(origin)
      assert.equal("Origin", ask(origin).headers.vary)
    end
  end)

  it("admits one origin given as a string", function()
    start(APP)
    admits(APP, APP)
    refuses(LOCAL)
  end)

  it("none admits no origin, and sends no CORS headers", function()
    start "none"
    refuses(APP)
    refuses "null"
    local response = ask(APP)
    for name in pairs(response.headers) do assert.is_nil(name:match "^access%-control", name) end
    assert.is_nil(response.headers.vary)
    local options = client:request("OPTIONS", "/topics", { auth = false })
    assert.equal(204, options.status)
    assert.equal("GET, HEAD, OPTIONS", options.headers.allow)
    assert.is_nil(options.headers["access-control-allow-methods"])
  end)

  it("a request from another origin executes nothing, and its preflight is a 403", function()
    start(APP)
    assert.equal(403, ask(OTHER, "/produce/t/x").status)
    assert.equal(403, ask(OTHER, "/produce/t", { method = "POST", body = '{"value":"v"}' }).status)
    assert.equal(403, ask(OTHER, "/produce/t", { method = "OPTIONS", auth = false }).status)
    assert.equal("{}", client:request("GET", "/topics").body)
  end)

  it("does not apply to /, /health and /webhook with credentials in the query", function()
    start(APP)
    for _, path in ipairs { "/", "/health", "/webhook?topic=t&user=tester&pass=p%3Ass%20w%C3%B6rd" } do
      local response = ask(OTHER, path, { auth = false })
      assert.equal(200, response.status, path)
      assert.is_nil(response.headers["access-control-allow-origin"])
    end
    assert.equal(401, ask(OTHER, "/webhook?topic=t&user=tester&pass=wrong").status)
    assert.equal(403, ask(OTHER, "/webhook?topic=t").status)
  end)

  it("does not apply to pages from the server itself", function()
    start "none"
    local own = "http://" .. client.host .. ":" .. client.port
    for _, origin in ipairs { own, (own:gsub("http", "https")) } do assert.equal(200, ask(origin).status) end
    assert.equal(200, ask(APP, "/topics", { headers = { ["Sec-Fetch-Site"] = "same-origin" } }).status)
    assert.equal(403, ask("http://evil-" .. client.host .. ":" .. client.port).status)
  end)

  it("applies to the 429 on a connection over the limit too", function()
    running = support.start { cors_origin = APP, max_connections = 1 }
    client = http.client(running.url, running.username, running.password)
    local request = client:build("GET", "/topics", { headers = { Origin = APP } })
    -- Several threads accept connections, so the order is known only once each has been answered.
    local first = client:connect()
    first:send(request)
    assert.equal(200, first:receive("GET").status)
    local second = client:connect()
    second:send(request)
    local response = second:receive "GET"
    assert.equal(429, response.status)
    assert.equal(APP, response.headers["access-control-allow-origin"])
    assert.is_truthy(response.headers["access-control-expose-headers"]:find("Retry-After", 1, true))
    first:close()
    second:close()
  end)

  it("applies to refusals by the HTTP library, with the setting of the right server", function()
    local other = support.start { cors_origin = "none" }
    local elsewhere = http.client(other.url, other.username, other.password)
    start { APP }
    for _, case in ipairs { { client, APP, APP }, { client, OTHER, nil }, { elsewhere, APP, nil } } do
      local bytes = "POST /produce/t HTTP/1.1\r\nHost: x\r\nOrigin: " .. case[2] .. "\r\nContent-Length: five\r\n\r\n"
      local response = case[1]:raw(bytes)
      assert.equal(400, response.status)
      if server.refusals_are_json then
        assert.equal(case[3], response.headers["access-control-allow-origin"])
      end
    end
    other:stop()
  end)

  local function start_raw(origins)
    return server.start {
      listen = "127.0.0.1:0", data = folder.name(), username = "u", password = "p", cors_origin = origins,
    }
  end

  for what, case in pairs {
    ["a host without a scheme"] = { "app.example.com", "SCHEME://HOST" },
    ["a path"] = { APP .. "/", "SCHEME://HOST" },
    ["a bad one in a list"] = { { APP, "nonsense" }, "nonsense" },
    ["* beside others"] = { { APP, "*" }, "cannot be combined with other origins" },
    ["none beside others"] = { { "none", APP }, "cannot be combined with other origins" },
  } do
    it("refuses " .. what, function()
      local handle, message, details = start_raw(case[1])
      assert.is_nil(handle)
      assert.is_truthy(message:find "^cors_origin: " and message:find(case[2], 1, true), message)
      assert.equal("bad_request", details.code)
    end)
  end

  for what, case in pairs {
    ["a number"] = { 5, "cors_origin: string or list expected, got number" },
    ["a list of numbers"] = { { APP, 5 }, "cors_origin[2]: string expected, got number" },
    ["an empty list"] = { {}, "cors_origin: an origin expected, got an empty list" },
    ["a NUL"] = { { "https://a\0b" }, "cors_origin[1]: string without NUL bytes expected" },
  } do
    it("raises for " .. what, function()
      local fine, message = pcall(start_raw, case[1])
      assert.is_false(fine)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end)
  end

  it("takes any number of origins, in constant room on the stack", function()
    local list = {}
    for index = 1, 100000 do list[index] = APP end
    list[#list + 1] = false
    local fine, message = pcall(start_raw, list)
    assert.is_false(fine)
    assert.is_truthy(message:find("cors_origin[100001]: string expected, got boolean", 1, true), message)
  end)

  it("can be set on the command line", function()
    local data = folder.name()
    local process = shell.start(("%s serve --listen 127.0.0.1:0 --data %s --username u --password p %s"):format(
      shell.command, data, "--cors-origin " .. APP .. " --cors-origin " .. LOCAL))
    client = http.client(process:expect "listening on (%S+)", "u", "p")
    admits(APP, APP)
    admits(LOCAL, LOCAL)
    refuses(OTHER)
    process:signal()
    process:wait()
    process:remove()
    folder.remove(data)
    local status, _, errors = shell.upstash_kafka { "serve", "--data", data, "--cors-origin", "nonsense" }
    assert.equal(1, status)
    assert.is_truthy(errors:find("cors_origin: SCHEME://HOST[:PORT], * or none expected", 1, true), errors)
    folder.remove(data)
  end)
end)
