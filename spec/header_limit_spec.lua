-- F6: the limit of the request line and headers, at the limit and one past it. The response's head
-- must have room besides them, so that the client of a produce learns the outcome.

local cjson = require "cjson"
local http = require "spec.support.http"
local support = require "spec.support.server"

local ENTRY = 64 -- what each header counts besides its bytes
local ORIGIN = "https://app.example.com"
local BODY = '{"value":"v"}'

-- The head of a produce to `topic` with `more` headers. The last header pads it to `bytes` in all.
local function head(client, topic, bytes, more)
  local headers = { { "Origin", ORIGIN }, { "Accept-Encoding", "gzip" } }
  for _, header in ipairs(more or {}) do table.insert(headers, header) end
  table.insert(headers, { "X", "" })
  local function build()
    return client:build("POST", "/produce/" .. topic, { headers = headers, body = BODY }):sub(1, -1 - #BODY)
  end
  local own = 3 -- Host, Authorization, Content-Length
  local left = bytes - #build() - ENTRY * (#headers + own)
  assert.is_true(left >= 0, "the headers are too long for " .. bytes)
  headers[#headers][2] = ("x"):rep(left)
  return build()
end

-- As many short headers as the limit allows besides those that `head` adds.
local function most(bytes)
  local headers = {}
  for index = 1, bytes / 2 / ENTRY - 6 do headers[index] = { ("A%d"):format(index), "" } end
  return headers
end

describe("F6: max_header_bytes", function()
  local server, client

  local function start(bytes)
    server = support.start { max_header_bytes = bytes, cors_origin = ORIGIN }
    client = http.client(server.url, server.username, server.password)
  end

  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  local function has_every_header(response)
    assert.equal(200, response.status, response.body)
    for name, value in pairs {
      ["content-type"] = "application/json", ["access-control-allow-origin"] = ORIGIN, vary = "Origin",
    } do
      assert.equal(value, response.headers[name], name)
    end
    for _, name in ipairs { "date", "content-length", "access-control-expose-headers" } do
      assert.is_truthy(response.headers[name], name)
    end
    assert.equal(0, cjson.decode(response.body)[1].offset)
  end

  local function stored(topic)
    local response = client:request("POST", "/offsets/latest", { body = ('{"topic":%q,"partition":0}'):format(topic) })
    return response.status == 404 and 0 or cjson.decode(response.body)[1].offset
  end

  -- Sends bytes on a connection from `connect` and returns the response.
  local function ask(connect, bytes)
    local connection = connect()
    connection:send(bytes)
    local response = connection:receive "POST"
    connection:close()
    return response
  end

  local function fresh() return client:connect() end

  local function used()
    local connection = fresh()
    for _ = 1, 2 do
      connection:send(client:build("GET", "/topics"))
      assert.equal(200, connection:receive("GET").status)
    end
    return connection
  end

  local function holds(bytes, connect, more)
    local topic = support.name "full"
    has_every_header(ask(connect, head(client, topic, bytes, more) .. BODY))
    assert.equal(1, stored(topic))
    local past = support.name "past"
    local response = ask(connect, head(client, past, bytes + 1, more) .. BODY)
    assert.equal(431, response.status)
    assert.equal("application/json", response.headers["content-type"])
    assert.equal(ORIGIN, response.headers["access-control-allow-origin"])
    assert.equal(0, stored(past))
  end

  for _, bytes in ipairs { 2048, 4096, 8192, 65536, 1048576 } do
    it(("of %d applies on new and on reused connections"):format(bytes), function()
      start(bytes)
      holds(bytes, fresh)
      holds(bytes, used)
    end)

  end

  for _, bytes in ipairs { 2048, 4096, 8192, 65536 } do
    it(("of %d allows half of it in entries, and no more"):format(bytes), function()
      start(bytes)
      local headers, topic = most(bytes), support.name "many"
      holds(bytes, fresh, headers)
      table.insert(headers, { "One-More", "" })
      local response = ask(fresh, head(client, topic, bytes, headers) .. BODY)
      assert.equal(431, response.status)
      assert.equal(0, stored(topic))
    end)
  end

  -- Bytes that follow a request occupy memory that the head of its response needs.
  it("leaves room for the response when other requests follow", function()
    start(8192)
    local follower = client:build("GET", "/topics")
    for _, headers in ipairs { {}, most(8192) } do
      for bytes = 2048, 8192, 512 do
        local shortest = #client:build("POST", "/produce/x", {}) + 1000 + ENTRY * (#headers + 6)
        local topic, connection = support.name "followed", fresh()
        if bytes > shortest + 6 * #headers then
          connection:send(head(client, topic, bytes, headers) .. BODY .. follower:rep(60))
          has_every_header(connection:receive "POST")
          for _ = 1, 60 do assert.equal(200, connection:receive("GET").status) end
        end
        connection:close()
      end
    end
  end)

  it("counts cookies twice, because they are stored twice", function()
    start(8192)
    local topic, cookies = support.name "cookies", {}
    for index = 1, 25 do cookies[index] = ("c%d=1"):format(index) end
    local cookie = { { "Cookie", table.concat(cookies, "; ") } }
    local own = #cookie[1][2] + ENTRY * 26
    has_every_header(ask(fresh, head(client, topic, 8192 - own, cookie) .. BODY))
    assert.equal(431, ask(fresh, head(client, support.name "past", 8193 - own, cookie) .. BODY).status)
  end)

  it("applies to the request line too", function()
    start(8192)
    local function line(bytes)
      local path = "/produce/line/"
      local whole = client:build("GET", path)
      return whole:gsub(path, path .. ("x"):rep(bytes - #whole - 2 * ENTRY), 1)
    end
    assert.equal(200, client:raw(line(8192)).status)
    assert.equal(431, client:raw(line(8193)).status)
    assert.equal(1, stored "line")
  end)

  -- After a line that is too long the library reads on until its memory is full, and then refuses
  -- the request itself.
  describe("answers 414 to a request line that exceeds it alone", function()
    local refusals_are_json = require "upstash.kafka.server".refusals_are_json

    -- A request whose line, with its CRLF, and whose headers have these lengths in bytes.
    local function lined(bytes, headers)
      local line = ("GET /produce/line/%s HTTP/1.1\r\n"):format(("x"):rep(bytes - #"GET /produce/line/ HTTP/1.1\r\n"))
      local own = "Host: x\r\nAuthorization: " .. client.authorization .. "\r\n"
      return line .. own .. "X: " .. ("x"):rep(headers - #own - #"X: \r\n\r\n") .. "\r\n\r\n"
    end

    local function check(status, bytes, headers, in_library)
      local response = ask(fresh, lined(bytes, headers))
      local what = ("%d of %d bytes, and %d of headers"):format(response.status, bytes, headers)
      if in_library and not refusals_are_json then
        -- The library's own page: version 1.0 guesses whether the line or the headers are too long.
        assert.is_true(response.status == 414 or response.status == 431, what)
        return
      end
      assert.equal(status, response.status, what)
      local said = { [414] = "the request line is over the limit", [431] = "headers are over the limit" }
      assert.is_truthy(cjson.decode(response.body).error:find(said[status], 1, true), response.body)
    end

    for _, limit in ipairs { 2048, 8192, 65536 } do
      it(("of %d"):format(limit), function()
        start(limit)
        for _, headers in ipairs { 100, 1000 } do
          check(431, limit, headers)
          check(414, limit + 1, headers)
          check(414, limit + 10, headers)
          check(414, limit + 2900, headers, true)
        end
        check(414, limit + 20000, 100, true)
        check(431, limit - 100, 20000, true)
        assert.equal(0, stored "line")
      end)
    end

    if refusals_are_json then
      it("even if the headers after it exceed what the library reads", function()
        start(8192)
        for bytes = 8193 + 10, 8192 + 4096 + 60, 50 do check(414, bytes, 20000, true) end
        for bytes = 8192 + 3900, 8192 + 4096 + 60 do check(414, bytes, 100, true) end
      end)
    end
  end)
end)
