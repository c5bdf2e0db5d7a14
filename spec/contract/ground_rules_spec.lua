-- Section 1 of the contract: what holds for every endpoint.

local endpoints = require "spec.contract.endpoints"
local gzip = require "spec.contract.gzip"
local http = require "spec.support.http"
local service = require "spec.contract.service"

local get, post, ok, refused = service.get, service.post, service.ok, service.refused

local function served(response)
  local fine = response.status == 200 or response.status == 201
  assert.is_true(fine, response.status .. " " .. response.body)
  return service.decode(response)
end

describe("ground rules:", function()
  service.attach()

  for _, endpoint in ipairs(endpoints) do
    for _, method in ipairs(endpoint.methods) do
      it(("%s takes %s"):format(endpoint.name, method), function()
        served(endpoints.request(endpoint, method))
      end)
    end

    it(endpoint.name .. " accepts a trailing slash", function()
      local changes = { path = endpoint.path .. "/" }
      served(endpoints.request(endpoint, endpoint.methods[1], changes))
    end)

    it(endpoint.name .. " requires credentials", function()
      local response = endpoints.request(endpoint, endpoint.methods[1], { auth = false, dead = true })
      refused(response, 401)
      assert.is_truthy((response.headers["www-authenticate"] or ""):find "^Basic")
    end)

    it(endpoint.name .. " works without a body, or names what is missing", function()
      for _, method in ipairs(endpoint.methods) do
        local response = endpoints.request(endpoint, method, { body = false })
        if response.status == 400 then refused(response, 400) else served(response) end
      end
    end)
  end

  describe("HTTP/1.1", function()
    it("keeps a connection alive", function()
      local connection = service.client:connect()
      for _ = 1, 3 do
        connection:send(service.client:build("GET", "/topics"))
        ok(connection:receive "GET")
      end
      connection:close()
    end)

    it("answers pipelined requests in their order", function()
      local topic = service.topic(1)
      local connection, requests = service.client:connect(), {}
      for number = 1, 5 do
        requests[number] = service.client:build("GET", ("/produce/%s/m%d"):format(topic, number))
      end
      connection:send(table.concat(requests))
      for number = 1, 5 do
        assert.equal(number - 1, ok(connection:receive "GET").offset)
      end
      connection:close()
      assert.same({ "m1", "m2", "m3", "m4", "m5" }, service.values(service.fetch_all(topic, 0, 5)))
    end)

    it("closes when asked to", function()
      local connection = service.client:connect()
      connection:send(service.client:build("GET", "/topics", { headers = { Connection = "close" } }))
      ok(connection:receive "GET")
      assert.is_true(connection:ends())
      connection:close()
    end)

    it("accepts a chunked body", function()
      local topic = service.topic(1)
      ok(post("/produce/" .. topic, nil, { chunks = { '[{"val', 'ue":"a"},', '{"value":"b"}]' } }))
      assert.same({ "a", "b" }, service.values(service.fetch_all(topic, 0, 2)))
    end)

    it("accepts a request that arrives byte by byte", function()
      local topic = service.topic(1)
      local connection = service.client:connect()
      local request = service.client:build("POST", "/produce/" .. topic, { body = '{"value":"slow"}' })
      for byte in request:gmatch "." do connection:send(byte) end
      assert.equal(0, ok(connection:receive "POST")[1].offset)
      connection:close()
    end)

    it("serves a client that sends Expect: 100-continue", function()
      local options = { body = '{"value":"expected"}', headers = { Expect = "100-continue" } }
      local path = "/produce/" .. service.topic(1)
      local request = service.client:build("POST", path, options)
      local head, body = request:match "^(.-\r\n\r\n)(.*)$"
      local connection = service.client:connect()
      connection:send(head)
      connection:fill(service.now() + 60)
      assert.is_truthy(connection.buffer:find "^HTTP/1.1 100 ")
      connection:send(body)
      assert.equal(0, ok(connection:receive "POST")[1].offset)
      connection:close()
    end)

    it("reads and ignores the body of a GET", function()
      local connection = service.client:connect()
      for _ = 1, 2 do
        connection:send(service.client:build("GET", "/topics", { body = '{"unused":true}' }))
        ok(connection:receive "GET")
      end
      connection:close()
    end)

    it("sends no body in answer to HEAD", function()
      local connection = service.client:connect()
      connection:send(service.client:build("HEAD", "/topics"))
      connection:receive "HEAD"
      connection:send(service.client:build("GET", "/topics"))
      ok(connection:receive "GET")
      connection:close()
    end)
  end)

  describe("JSON in UTF-8", function()
    local function round_trip(body)
      local topic = service.topic(1)
      ok(post("/produce/" .. topic, body))
      return service.fetch_all(topic, 0, 1)[1]
    end

    it("carries characters of every length", function()
      assert.equal("aé€😀", round_trip('{"value":"aé€😀"}').value)
    end)

    it("decodes escapes", function()
      assert.equal("é😀\"\\/\b\f\n\r\t",
        round_trip([[{"value":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"}]]).value)
    end)

    it("carries control characters and NUL", function()
      assert.equal("a\0b\31c", round_trip([[{"value":"a\u0000b\u001fc"}]]).value)
    end)

    it("accepts escaped field names", function()
      assert.equal("v", round_trip([[{"v\u0061lue":"v"}]]).value)
    end)

    it("refuses half of a surrogate pair", function()
      refused(post("/produce/" .. service.topic(1), [[{"value":"\ud83d"}]]), 400)
    end)
  end)

  describe("credentials", function()
    local function attempt(authorization)
      return get("/topics", { auth = authorization })
    end

    for what, authorization in pairs {
      ["a wrong password"] = http.basic(service.username, service.password .. "x"),
      ["a part of the password"] = http.basic(service.username, service.password:sub(1, -2)),
      ["no password"] = http.basic(service.username, ""),
      ["a wrong user"] = http.basic(service.username .. "x", service.password),
      ["no colon"] = "Basic " .. http.base64(service.username),
      ["no base64"] = "Basic !!!",
      ["nothing after Basic"] = "Basic",
      ["another scheme"] = "Bearer " .. http.base64(service.username .. ":" .. service.password),
    } do
      it(what .. " is a 401", function()
        local response = attempt(authorization)
        refused(response, 401)
        assert.is_truthy((response.headers["www-authenticate"] or ""):find "^Basic")
      end)
    end

    it("the name of the scheme is case-insensitive", function()
      local pair = http.basic(service.username, service.password)
      ok(attempt((pair:gsub("^Basic", "bASIC"))))
    end)

    it("a 401 does not repeat the password", function()
      local said = refused(attempt(http.basic(service.username, "guess-4711")), 401)
      assert.is_nil(said:find("guess-4711", 1, true))
    end)
  end)

  describe("percent-decoding", function()
    local function sent(path_value, query)
      local topic = service.topic(1)
      ok(get(("/produce/%s/%s%s"):format(topic, path_value, query or "")))
      return service.fetch_all(topic, 0, 1)[1]
    end

    for written, meant in pairs {
      ["a%20b"] = "a b", ["a%2Fb"] = "a/b", ["a%2fb"] = "a/b", ["a%2520b"] = "a%20b",
      ["%C3%A9%E2%82%AC"] = "é€", ["a+b"] = "a+b", ["a%3Fb%23c%26"] = "a?b#c&",
      ["%7B%22k%22%3A1%7D"] = '{"k":1}', ["a%00b"] = "a\0b", ["a:b@c!$'()*,;=~"] = "a:b@c!$'()*,;=~",
    } do
      it("reads the segment " .. written, function() assert.equal(meant, sent(written).value) end)
    end

    for written, meant in pairs {
      ["a%20b"] = "a b", ["a%26b%3Dc"] = "a&b=c", ["%C3%A9"] = "é", ["a%252Fb"] = "a%2Fb",
      ["a/b?c"] = "a/b?c", ["a%2Bb"] = "a+b", ["a=b"] = "a=b",
    } do
      it("reads the query value " .. written, function()
        assert.equal(meant, sent("v", "?key=" .. written).key)
      end)
    end

    it("applies to topics, groups and instances", function()
      local topic, group = service.topic(1), service.name "grüppe/1 a"
      local written = group:gsub("[^%w-]", function(c) return ("%%%02X"):format(c:byte()) end)
      local coded = topic:gsub("^.", function(c) return ("%%%02x"):format(c:byte()) end)
      ok(get("/produce/" .. coded .. "/hello"))
      service.eventually(15, function()
        service.consume(written, "in%2Fstance", topic, nil, 50)
        return service.assignment(group)["in/stance"]
      end)
    end)

    for _, bad in ipairs { "%", "%4", "%zz", "a%2" } do
      it("refuses the segment " .. bad, function()
        refused(get(("/produce/%s/%s"):format(service.topic(1), bad)), 400, "percent escape")
      end)
      it("refuses the query value " .. bad, function()
        refused(get(("/produce/%s/v?key=%s"):format(service.topic(1), bad)), 400, "percent escape", bad)
      end)
    end
  end)

  describe("integers", function()
    for _, offset in ipairs { "9007199254740993", "9223372036854775806", "1000000", "15" } do
      it("offset " .. offset .. " is unchanged", function()
        local fill = endpoints.scene(true)
        local position = ('{"topic":"{topic}","partition":0,"offset":%s}'):format(offset)
        ok(post(fill "/commit/{group}/{instance}", fill(position)))
        local body = fill '{"topic":"{topic}","partition":0}'
        local response = post(fill "/committed/{group}/{instance}", body)
        ok(response)
        assert.is_truthy(response.body:find('"offset"%s*:%s*' .. offset .. "%s*[,}]"), response.body)
      end)
    end

    it("a timestamp is unchanged", function()
      local topic = service.topic(1)
      local stamp = ("%.0f"):format(math.floor(service.now()) * 1000 - 997)
      local response = post("/produce/" .. topic, ('{"value":"v","timestamp":%s}'):format(stamp))
      ok(response)
      assert.is_truthy(response.body:find('"timestamp"%s*:%s*' .. stamp .. "%s*[,}]"), response.body)
      assert.equal(tonumber(stamp), service.fetch_all(topic, 0, 1)[1].timestamp)
    end)
  end)

  describe("topic names", function()
    it("of 249 characters are valid", function()
      local topic = service.name "long"
      topic = topic .. ("x"):rep(249 - #topic)
      served(post("/topics/" .. topic, { partitions = 1 }))
      assert.equal(topic, ok(get(("/produce/%s/v"):format(topic))).topic)
      assert.equal(topic, service.fetch_all(topic, 0, 1)[1].topic)
    end)

    it("may contain every allowed character", function()
      local topic = service.name "AZaz.09_-..x"
      served(post("/topics/" .. topic, { partitions = 1 }))
      assert.equal(topic, ok(get(("/produce/%s/v"):format(topic))).topic)
    end)

    it("of one character are valid", function()
      local body = { topic = "x", partition = 0, offset = 0, timeout = 10 }
      assert.are_not.equal(400, post("/fetch", body).status)
    end)
  end)

  describe("a trailing comma", function()
    for what, body in pairs {
      ["in an object"] = '{"value":"v",}',
      ["in an array"] = '[{"value":"v"},]',
      ["in both, among blanks"] = '[ {"value": "v" , } , ]',
      ["in a nested array"] = '{"value":"v","headers":[{"key":"k","value":"w",},]}',
    } do
      it(what .. " is accepted", function() ok(post("/produce/" .. service.topic(1), body)) end)
    end

    for what, body in pairs {
      ["two commas"] = '[{"value":"v"},,]',
      ["a comma alone"] = "[,]",
      ["a comma in front"] = '{,"value":"v"}',
      ["a comma after the end"] = '{"value":"v"},',
    } do
      it(what .. " is not", function() refused(post("/produce/" .. service.topic(1), body), 400) end)
    end
  end)

  describe("white space after a header's value is ignored in", function()
    local BLANKS = { [" "] = "a blank", ["\t"] = "a tab", [" \t "] = "both" }

    local function value_of(topic)
      return service.fetch_all(topic, 0, 1)[1].value
    end

    for blank, what in pairs(BLANKS) do
      it("Kafka-Encoding: " .. what, function()
        local topic = service.topic(1)
        ok(post("/produce/" .. topic, '{"value":"YWJj"}', { headers = { ["Kafka-Encoding"] = "base64" .. blank } }))
        assert.equal("abc", value_of(topic))
      end)

      it("Content-Encoding: " .. what, function()
        local topic, zipped = service.topic(1), gzip.zip '{"value":"abc"}'
        ok(post("/produce/" .. topic, zipped, { headers = { ["Content-Encoding"] = "gzip" .. blank } }))
        assert.equal("abc", value_of(topic))
      end)

      it("Authorization: " .. what, function()
        ok(get("/topics", { auth = service.client.authorization .. blank }))
      end)

      it("Sec-Fetch-Site and Sec-Fetch-Mode: " .. what, function()
        local topic = service.topic(1)
        for _, headers in ipairs {
          { ["Sec-Fetch-Site"] = "cross-site" .. blank, ["Sec-Fetch-Mode"] = "no-cors" },
          { ["Sec-Fetch-Site"] = "cross-site", ["Sec-Fetch-Mode"] = "no-cors" .. blank },
        } do
          refused(get("/produce/" .. topic .. "/x", { headers = headers }), 403)
        end
        assert.equal(0, service.end_offset(topic))
      end)

      it("a header that a webhook stores: " .. what, function()
        local topic = service.topic(1)
        ok(post("/webhook?topic=" .. topic, "abc", { headers = { ["X-Tag"] = "a b" .. blank } }))
        assert.equal("a b", service.fetch_all(topic, 0, 1)[1].headers[1].value)
      end)
    end
  end)
end)
