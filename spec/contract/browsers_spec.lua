-- Section 1 of the contract: what browsers may read, and what they are kept from sending. The
-- headers are those that a browser sends; spec/browser has the browser. The service under test
-- admits every origin, its default.

local endpoints = require "spec.contract.endpoints"
local http = require "spec.support.http"
local service = require "spec.contract.service"

local get, ok, refused = service.get, service.ok, service.refused

local ORIGIN = "https://app.example.com"
local REQUEST_HEADERS = { "Accept", "Authorization", "Content-Encoding", "Content-Type", "Idempotency-Key", "Kafka-Ack",
  "Kafka-Auto-Commit-Interval", "Kafka-Auto-Offset-Reset", "Kafka-Commit", "Kafka-Enable-Auto-Commit",
  "Kafka-Encoding", "Kafka-Session-Timeout-Ms", "Last-Event-ID", "X-Request-Id" }
local RESPONSE_HEADERS = { "Allow", "Idempotent-Replayed", "Kafka-Batch", "Kafka-Commit-Skipped", "Retry-After",
  "WWW-Authenticate", "X-Request-Id" }

local function words(text)
  local all = {}
  for word in (text or ""):gmatch "[^%s,]+" do all[word] = true end
  return all
end

local function names(list, text)
  local listed = words(text)
  for _, name in ipairs(list) do assert.is_true(listed[name], name .. " is not in " .. tostring(text)) end
end

local function is_open(response)
  assert.equal("*", response.headers["access-control-allow-origin"])
  names(RESPONSE_HEADERS, response.headers["access-control-expose-headers"])
  assert.equal("Origin", response.headers.vary)
  assert.is_nil(response.headers["access-control-allow-credentials"])
end

local function with(headers, more)
  local options = { headers = {} }
  for name, value in pairs(headers) do options.headers[name] = value end
  for name, value in pairs(more or {}) do options[name] = value end
  return options
end

local function from_page(more) return with({ Origin = ORIGIN }, more) end

describe("browsers:", function()
  service.attach()

  describe("B5: the response to a request with Origin allows the page to read it:", function()
    for _, endpoint in ipairs(endpoints) do
      it(endpoint.name, function()
        local response = endpoints.request(endpoint, endpoint.methods[1], { headers = { Origin = ORIGIN } })
        assert.is_true(response.status < 300, response.body)
        is_open(response)
      end)
    end

    it("health and the root, without credentials", function()
      for _, path in ipairs { "/", "/health" } do is_open(get(path, from_page { auth = false })) end
    end)

    it("the origin of a file or a sandboxed page", function()
      is_open(get("/topics", { headers = { Origin = "null" } }))
    end)

    it("a page from the same server", function()
      local headers = { Origin = service.url, ["Sec-Fetch-Site"] = "same-origin", ["Sec-Fetch-Mode"] = "cors" }
      is_open(get("/topics", { headers = headers }))
    end)

    it("no CORS headers without Origin", function()
      local response = get "/topics"
      for name in pairs(response.headers) do assert.is_nil(name:match "^access%-control", name) end
      assert.is_nil(response.headers.vary)
    end)
  end)

  describe("E10: no browser guesses the type of an answer, and nothing stores it:", function()
    local function is_plain(response, status)
      assert.equal(status, response.status, response.body)
      assert.equal("nosniff", response.headers["x-content-type-options"])
      assert.equal("no-store", response.headers["cache-control"])
    end

    for _, endpoint in ipairs(endpoints) do
      it(endpoint.name, function()
        local response = endpoints.request(endpoint, endpoint.methods[1])
        assert.is_true(response.status < 300, response.body)
        is_plain(response, response.status)
      end)
    end

    it("health and the root", function()
      for _, path in ipairs { "/", "/health" } do is_plain(get(path, { auth = false }), 200) end
    end)

    it("the description of a path", function()
      is_plain(service.request("OPTIONS", "/fetch", { auth = false }), 204)
    end)

    it("errors", function()
      is_plain(get("/fetch", { body = "{" }), 400)
      is_plain(get("/topics", { auth = false }), 401)
      local foreign = { ["Sec-Fetch-Site"] = "cross-site", ["Sec-Fetch-Mode"] = "navigate" }
      is_plain(get("/topics", { headers = foreign }), 403)
      is_plain(get "/nowhere", 404)
      is_plain(service.request("DELETE", "/topics"), 405)
    end)
  end)

  describe("B5: so does an error:", function()
    local function is_refused(response, status)
      refused(response, status)
      is_open(response)
    end

    it("400", function() is_refused(service.post("/produce/t", "{", from_page()), 400) end)
    it("401", function() is_refused(get("/topics", from_page { auth = false }), 401) end)
    it("404", function() is_refused(get("/nowhere", from_page()), 404) end)
    it("405", function() is_refused(service.request("BREW", "/topics", from_page()), 405) end)

    it("413, by Content-Length and in chunks", function()
      local head = service.client:build("POST", "/produce/t", from_page { body = "" })
      is_refused(service.client:raw((head:gsub("Length: 0", "Length: 1099511627776"))), 413)
      local chunks = {}
      for index = 1, 17 do chunks[index] = ("x"):rep(2 ^ 20) end
      is_refused(service.request("POST", "/produce/t", from_page { chunks = chunks }), 413)
    end)

    it("431", function()
      local options = from_page()
      options.headers["X-Filler"] = ("x"):rep(8192)
      is_refused(get("/topics", options), 431)
    end)

    it("a body that is cut off", function()
      local request = service.client:build("POST", "/produce/t", from_page { body = '{"value":"never whole"}' })
      is_refused(service.client:raw(request:sub(1, -10), true), 400)
    end)

    it("two Content-Length headers", function()
      local options = { headers = { { "Origin", ORIGIN }, { "Content-Length", "5" }, { "Content-Length", "6" } } }
      is_refused(service.client:raw(service.client:build("GET", "/topics", options) .. "hello"), 400)
    end)

    it("requests that the HTTP library refuses, if it does so in JSON", function()
      local request = service.client:build("POST", "/produce/t", {
        headers = { { "Origin", ORIGIN }, { "Transfer-Encoding", "chunked" } },
      }):gsub("Content%-Length: 0\r\n", "") .. "zz\r\nhello\r\n"
      local response = service.client:raw(request)
      assert.equal(400, response.status)
      if response.headers["content-type"] == "application/json" then is_open(response) end
    end)
  end)

  describe("B5: OPTIONS is answered without credentials:", function()
    local function preflight(path, method, names_asked)
      return service.request("OPTIONS", path, {
        auth = false,
        headers = {
          Origin = ORIGIN, ["Access-Control-Request-Method"] = method,
          ["Access-Control-Request-Headers"] = names_asked or "authorization,content-type",
          ["Sec-Fetch-Site"] = "cross-site", ["Sec-Fetch-Mode"] = "cors",
        },
      })
    end

    for _, endpoint in ipairs(endpoints) do
      it(endpoint.name, function()
        local response = preflight(endpoint.path:gsub("[{}]", "") .. endpoint.query, endpoint.methods[1])
        assert.equal(204, response.status)
        is_open(response)
        local methods = { OPTIONS = true }
        for _, method in ipairs(endpoint.methods) do methods[method] = true end
        for _, method in ipairs(endpoint.others or {}) do methods[method] = true end
        if endpoint.path == "/topics" or endpoint.path == "/consumers" then methods.HEAD = true end
        assert.same(methods, words(response.headers["access-control-allow-methods"]))
        assert.same(methods, words(response.headers.allow))
        names(REQUEST_HEADERS, response.headers["access-control-allow-headers"])
        assert.equal("600", response.headers["access-control-max-age"])
        assert.is_nil(response.headers["content-length"])
        assert.is_nil(response.headers["content-type"])
      end)
    end

    it("/ and /health", function()
      for _, path in ipairs { "/", "/health" } do
        local response = preflight(path, "GET")
        assert.equal(204, response.status)
        assert.same({ GET = true, HEAD = true, OPTIONS = true }, words(response.headers.allow))
      end
    end)

    it("without Origin too", function()
      local response = service.request("OPTIONS", "/fetch", { auth = false })
      assert.equal(204, response.status)
      assert.same({ GET = true, POST = true, OPTIONS = true }, words(response.headers.allow))
    end)

    it("whatever the query says", function()
      for _, query in ipairs { "?colour=red", "?timeout=soon", "?timeout=1&timeout=2", "?%zz" } do
        assert.equal(204, preflight("/fetch" .. query, "GET").status, query)
      end
    end)

    it("with a body; the connection stays usable", function()
      local connection = service.client:connect()
      connection:send(service.client:build("OPTIONS", "/fetch", { body = "hello", auth = false }))
      assert.equal(204, connection:receive("OPTIONS").status)
      connection:send(service.client:build("GET", "/topics"))
      ok(connection:receive "GET")
      connection:close()
    end)

    it("an unknown path is a 404", function()
      local response = preflight("/nowhere", "GET")
      refused(response, 404)
      is_open(response)
      refused(service.request("OPTIONS", "*", { auth = false }), 404)
    end)

    it("and nothing is executed", function()
      local topic = service.topic(1)
      assert.equal(204, preflight(("/produce/%s/hello"):format(topic), "GET").status)
      assert.equal(204, service.request("OPTIONS", ("/produce/%s/hello"):format(topic)).status)
      assert.equal(0, service.end_offset(topic))
    end)
  end)

  describe("E10: requests that a page makes a browser send without a script are refused:", function()
    local SITES, MODES = { "cross-site", "same-site" }, { "navigate", "no-cors" }

    local function fetched(site, mode, more)
      return with({ ["Sec-Fetch-Site"] = site, ["Sec-Fetch-Mode"] = mode }, more)
    end

    local function each(run)
      for _, site in ipairs(SITES) do
        for _, mode in ipairs(MODES) do run(site, mode) end
      end
    end

    it("an image or a link that produces", function()
      local topic = service.topic(1)
      each(function(site, mode)
        refused(get(("/produce/%s/x"):format(topic), fetched(site, mode)), 403, "Sec-Fetch-Site")
      end)
      assert.equal(0, service.end_offset(topic))
    end)

    it("a form posted to any path that produces", function()
      local topic = service.topic(1)
      each(function(site, mode)
        local options = fetched(site, mode)
        options.headers.Origin = ORIGIN
        options.headers["Content-Type"] = "text/plain"
        for _, path in ipairs { "/produce/" .. topic, "/webhook?topic=" .. topic } do
          local response = service.post(path, '{"value":"v"}', options)
          refused(response, 403)
          is_open(response)
        end
      end)
      assert.equal(0, service.end_offset(topic))
    end)

    it("reads and all other requests", function()
      each(function(site, mode)
        for _, path in ipairs { "/topics", "/consumers", "/fetch", "/consume/g/i/t", "/offsets/latest" } do
          refused(get(path, fetched(site, mode)), 403)
        end
      end)
    end)

    it("before the credentials are checked", function()
      refused(get("/topics", fetched("cross-site", "no-cors", { auth = false })), 403)
      refused(get("/topics", fetched("cross-site", "no-cors", { auth = http.basic("a", "b") })), 403)
    end)

    it("but not those of a script, of a page from this server, or of the user", function()
      ok(get("/topics", fetched("cross-site", "cors")))
      ok(get("/topics", fetched("same-site", "cors")))
      for _, mode in ipairs { "navigate", "no-cors", "same-origin", "cors" } do
        ok(get("/topics", fetched("same-origin", mode)))
      end
      ok(get("/topics", fetched("none", "navigate")))
    end)

    it("but not / and /health", function()
      each(function(site, mode)
        for _, path in ipairs { "/", "/health" } do ok(get(path, fetched(site, mode, { auth = false }))) end
      end)
    end)

    local function escaped(text)
      return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
    end

    it("but not /webhook with credentials in the query", function()
      local topic = service.topic(1)
      local path = ("/webhook?topic=%s&user=%s&pass=%s"):format(topic, escaped(service.username),
        escaped(service.password))
      each(function(site, mode) ok(service.post(path, "v", fetched(site, mode, { auth = false }))) end)
      assert.equal(4, service.end_offset(topic))
    end)

    it("and there the browser's stored credentials do not count", function()
      local topic = service.topic(1)
      local path = ("/webhook?topic=%s&user=nobody&pass=nothing"):format(topic)
      each(function(site, mode) refused(service.post(path, "v", fetched(site, mode)), 401) end)
      refused(service.post("/webhook?user=nobody&topic=" .. topic, "v", fetched("cross-site", "no-cors")), 403)
      assert.equal(0, service.end_offset(topic))
    end)
  end)

  describe("a 401 challenges", function()
    local function challenge(headers)
      local response = get("/topics", { auth = false, headers = headers })
      refused(response, 401)
      return response.headers["www-authenticate"]
    end

    it("B10: in UTF-8", function()
      assert.equal('Basic realm="upstash-kafka", charset="UTF-8"', challenge())
    end)

    it("but not browsers, which would remember the credentials", function()
      assert.is_nil(challenge { ["Sec-Fetch-Mode"] = "navigate", ["Sec-Fetch-Site"] = "none" })
      assert.is_nil(challenge { ["Sec-Fetch-Mode"] = "cors" })
      assert.is_nil(challenge { Origin = ORIGIN })
    end)
  end)

  it("B10: credentials in Latin-1 equal those in UTF-8", function()
    local function latin1(text)
      return (text:gsub("\195([\128-\191])", function(byte) return string.char(byte:byte() + 64) end)
        :gsub("\194([\128-\191])", "%1"))
    end
    ok(get("/topics", { auth = http.basic(latin1(service.username), latin1(service.password)) }))
    refused(get("/topics", { auth = http.basic(latin1(service.username), latin1(service.password) .. "\228") }), 401)
  end)
end)
