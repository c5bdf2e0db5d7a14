-- Section 3 of the contract: the webhook.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local ok, refused = service.ok, service.refused

local STANDARD = {
  ["Accept"] = "*/*", ["Accept-Charset"] = "utf-8", ["Accept-Encoding"] = "identity",
  ["Accept-Language"] = "en", ["Cache-Control"] = "no-cache", ["Connection"] = "keep-alive",
  ["Content-Language"] = "en", ["Content-Type"] = "text/plain", ["Cookie"] = "a=b",
  ["Date"] = "Tue, 15 Nov 1994 08:12:31 GMT", ["From"] = "a@example.org", ["Origin"] = "http://a",
  ["Pragma"] = "no-cache", ["Referer"] = "http://a/", ["User-Agent"] = "hook/1",
  ["Via"] = "1.1 proxy", ["Access-Control-Request-Method"] = "POST", ["DNT"] = "1", ["Early-Data"] = "1",
  ["Forwarded"] = "for=192.0.2.60", ["HTTP2-Settings"] = "AAMAAABkAAQ", ["Idempotency-Key"] = "key-1",
  ["If-Modified-Since"] = "Tue, 15 Nov 1994 08:12:31 GMT", ["Kafka-Other"] = "1", ["Keep-Alive"] = "timeout=5",
  ["Max-Forwards"] = "10", ["Prefer"] = "respond-async", ["Priority"] = "u=1", ["Proxy-Authorization"] = "Basic eDp5",
  ["Range"] = "bytes=0-", ["Sec-CH-UA"] = '"Hook"', ["TE"] = "trailers", ["Trailer"] = "Digest", ["Upgrade"] = "h2c",
  ["Upgrade-Insecure-Requests"] = "1", ["Warning"] = '199 - "old"',
}

-- These begin every name of a family.
local FAMILIES = { "^Accept%-", "^Access%-Control%-", "^Content%-", "^If%-", "^Kafka%-", "^Proxy%-", "^Sec%-" }

local function is_of_a_family(name)
  for _, family in ipairs(FAMILIES) do
    if name:find(family) then return true end
  end
  return false
end

local function hook(topic, body, headers, method)
  local options = { body = body, headers = headers }
  return ok(service.request(method or "POST", "/webhook?topic=" .. topic, options))
end

local function stored(topic)
  return service.fetch_all(topic, 0, 1)[1]
end

-- Header names have no case in HTTP.
local function lowered(headers)
  local list = {}
  for _, header in ipairs(headers) do
    table.insert(list, header.key:lower() .. "=" .. header.value)
  end
  table.sort(list)
  return list
end

local function escaped(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

describe("webhook:", function()
  service.attach()

  for _, method in ipairs { "GET", "POST" } do
    it(method .. " returns one Metadata object and stores the body as the value", function()
      local topic = service.topic(1)
      local metadata = hook(topic, "some event data", nil, method)
      assert.equal(topic, metadata.topic)
      assert.equal(0, metadata.partition)
      assert.equal(0, metadata.offset)
      assert.equal("number", type(metadata.timestamp))
      assert.equal("some event data", stored(topic).value)
      assert.equal("", stored(topic).key)
    end)
  end

  it("does not parse the body, whatever its type", function()
    local topic, body = service.topic(1), '{"event": "push", \r\n "broken": [1,'
    hook(topic, body, { ["Content-Type"] = "application/json" })
    assert.equal(body, stored(topic).value)
  end)

  it("stores a form unchanged", function()
    local topic, body = service.topic(1), "a=1&b=%20x+y"
    hook(topic, body, { ["Content-Type"] = "application/x-www-form-urlencoded" })
    assert.equal(body, stored(topic).value)
  end)

  it("accepts raw bytes", function()
    local topic = service.topic(1)
    hook(topic, "a\0\255\254z")
    local options = { headers = { ["Kafka-Encoding"] = "base64" } }
    local response = service.post("/fetch", { topic = topic, partition = 0, offset = 0 }, options)
    assert.equal(http.base64 "a\0\255\254z", ok(response)[1].value)
  end)

  it("accepts an empty body", function()
    local topic = service.topic(1)
    hook(topic, "")
    assert.equal("", stored(topic).value)
  end)

  it("accepts a chunked body", function()
    local topic = service.topic(1)
    ok(service.post("/webhook?topic=" .. topic, nil, { chunks = { "some event", " data" } }))
    assert.equal("some event data", stored(topic).value)
  end)

  it("turns request headers into message headers", function()
    local topic = service.topic(1)
    hook(topic, "data", { ["event-timestamp"] = "1642628041", ["event-origin"] = "my-app" })
    local headers = lowered(stored(topic).headers)
    assert.same({ "event-origin=my-app", "event-timestamp=1642628041" }, headers)
  end)

  it("omits standard HTTP headers", function()
    local topic = service.topic(1)
    local headers = { ["X-Github-Event"] = "push" }
    for name, value in pairs(STANDARD) do headers[name] = value end
    hook(topic, "data", headers)
    assert.same({ "x-github-event=push" }, lowered(stored(topic).headers))
  end)

  it("keeps headers whose names only begin or end like a standard one", function()
    for name in pairs(STANDARD) do
      local topic, wanted = service.topic(1), { "x" .. name:lower() .. "=1" }
      if not is_of_a_family(name) then table.insert(wanted, 1, name:lower() .. "s=1") end
      table.sort(wanted)
      hook(topic, "data", { [name .. "s"] = "1", ["x" .. name] = "1" })
      assert.same(wanted, lowered(stored(topic).headers))
    end
  end)

  it("keeps a repeated header", function()
    local topic = service.topic(1)
    hook(topic, "data", { { "X-Tag", "one" }, { "X-Tag", "two" } })
    assert.same({ "x-tag=one", "x-tag=two" }, lowered(stored(topic).headers))
  end)

  describe("credentials in the query", function()
    local function attempt(user, pass, auth)
      local topic = service.topic(1)
      local path = ("/webhook?topic=%s&user=%s&pass=%s"):format(topic, escaped(user), escaped(pass))
      return service.post(path, "data", { auth = auth or false }), topic
    end

    it("work like Basic ones", function()
      local response, topic = attempt(service.username, service.password)
      ok(response)
      local message = stored(topic)
      assert.equal("data", message.value)
      assert.same({}, message.headers)
    end)

    it("are refused when they are wrong", function()
      refused(attempt(service.username, service.password .. "x"), 401)
      refused(attempt("x" .. service.username, service.password), 401)
      refused(attempt("", ""), 401)
    end)

    it("open no other endpoint", function()
      local query = ("?user=%s&pass=%s"):format(escaped(service.username), escaped(service.password))
      refused(service.get("/topics" .. query, { auth = false }), 401)
    end)
  end)

  describe("a query", function()
    local function repeats(parameter, query)
      local topic, other = service.topic(1), service.topic(1)
      local login = ("user=%s&pass=%s"):format(escaped(service.username), escaped(service.password))
      local path = "/webhook?" .. query:gsub("{(%w+)}", {
        topic = topic, other = other, login = login,
        user = escaped(service.username), pass = escaped(service.password),
      })
      local auth -- Basic, unless the query logs in
      if query:find("{login}", 1, true) then auth = false end
      refused(service.post(path, "data", { auth = auth }), 400, ('repeated parameter "%s"'):format(parameter))
      assert.equal(0, service.end_offset(topic))
      assert.equal(0, service.end_offset(other))
    end

    it("that repeats topic is refused", function()
      repeats("topic", "topic={topic}&topic={other}")
      repeats("topic", "topic={topic}&x=1&topi%63={topic}")
    end)

    it("that repeats user or pass is refused", function()
      repeats("user", "topic={topic}&{login}&user={user}")
      repeats("pass", "topic={topic}&{login}&pass={pass}")
      repeats("user", "topic={topic}&user=a&user=a")
    end)

    it("may contain and repeat other parameters", function()
      local topic = service.topic(1)
      ok(service.post(("/webhook?x=1&topic=%s&x=2&topics=a&_=1"):format(topic), "data"))
      assert.equal("data", stored(topic).value)
    end)
  end)

  it("requires a topic", function()
    refused(service.post("/webhook", "data"), 400, "topic")
    refused(service.post("/webhook?topic=", "data"), 400, "topic")
  end)
end)
