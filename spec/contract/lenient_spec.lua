-- Section 1 of the contract, "liberal in what is accepted": what holds for every endpoint. The
-- rules for produce are in their own file.

local endpoints = require "spec.contract.endpoints"
local service = require "spec.contract.service"

local get, post, ok, refused = service.get, service.post, service.ok, service.refused

local PRODUCE, FETCH, CONSUME = "/produce/{topic}", "/fetch", "/consume/{group}/{instance}"
local COMMIT, COMMITTED = "/commit/{group}/{instance}", "/committed/{group}/{instance}"
local OFFSETS, CREATE = "/offsets/latest", "/topics/{fresh}"
local SUCCESS = { result = "Success", status = 200 }
local MARK = "\239\187\191" -- a byte order mark

local function served(response)
  local fine = response.status == 200 or response.status == 201
  assert.is_true(fine, response.status .. " " .. response.body)
  return service.decode(response)
end

local function post_filled(path, body, options, live)
  local fill, names = endpoints.scene(live or path == COMMIT)
  return post(fill(path), fill(body), options), names
end

-- The endpoint with changed properties.
local function changed(endpoint, changes)
  return setmetatable(changes, { __index = endpoint })
end

local function each_method(endpoint, send)
  for _, method in ipairs(endpoint.methods) do send(method) end
end

describe("lenient:", function()
  service.attach()

  describe("integers as text and as numbers with an integral value:", function()
    for path, bodies in pairs {
      [FETCH] = {
        '{"topic":"{topic}","partition":0,"offset":"0","timeout":10}',
        '{"topic":"{topic}","partition":"0","offset":0.0,"timeout":"10"}',
        '{"topicPartitionOffsets":[{"topic":"{topic}","partition":"0","offset":"0"}],"timeout":1e1}',
        '{"topic":"{topic}","partition":0,"offset":0,"timeout":10,"max_messages":"1","max_bytes":1e3}',
      },
      [CONSUME] = {
        '{"topic":"{topic}","timeout":"10"}', '{"topic":"{topic}","timeout":10.0,"max_messages":"1"}',
      },
      [COMMIT] = {
        '{"topic":"{topic}","partition":"0","offset":"42"}', '{"topic":"{topic}","partition":0.0,"offset":4.2e1}',
      },
      [COMMITTED] = { '{"topic":"{topic}","partition":"0"}', '[{"topic":"{topic}","partition":0.0}]' },
      [OFFSETS] = { '{"topic":"{topic}","partition":"0"}', '[{"topic":"{topic}","partition":0.0}]' },
      [CREATE] = { '{"partitions":"2"}', '{"partitions":2.0,"retention_ms":"86400000","retention_bytes":1e9}' },
    } do
      for _, body in ipairs(bodies) do
        it(("B3: %s %s"):format(path, body), function() served((post_filled(path, body))) end)
      end
    end

    it("B1: a fetch from an offset that is text", function()
      local topic = service.topic(1)
      service.fill(topic, 3)
      local body = ('{"topic":"%s","partition":0,"offset":"1","timeout":1000}'):format(topic)
      assert.same({ "2", "3" }, service.values(ok(post("/fetch", body))))
      assert.same({ "2", "3" }, service.values(ok(service.request("GET", "/fetch", { body = body }))))
    end)

    it("a commit keeps all digits", function()
      for written, offset in pairs {
        ['"42"'] = "42", ["42.0"] = "42", ['"9007199254740993"'] = "9007199254740993",
        ["9007199254740993.0"] = "9007199254740993", ["9223372036854775806.0"] = "9223372036854775806",
      } do
        local body = ('{"topic":"{topic}","partition":0,"offset":%s}'):format(written)
        local response, names = post_filled(COMMIT, body)
        assert.same(SUCCESS, ok(response))
        local path = ("/committed/%s/one"):format(names.group)
        local committed = post(path, { topic = names.topic, partition = 0 })
        assert.is_truthy(committed.body:find(('"offset":%s}'):format(offset), 1, true), committed.body)
      end
    end)

    it("a topic gets that many partitions", function()
      for _, written in ipairs { '"3"', "3.0", "0.3e1" } do
        local response, names = post_filled(CREATE, ('{"partitions":%s}'):format(written))
        served(response)
        service.eventually(10, function() return ok(get "/topics")[names.fresh] == 3 end)
      end
    end)

    it("a timeout lasts that long", function()
      local topic = service.topic(1)
      local start = service.now()
      local body = '{"topic":"%s","partition":0,"offset":0,"timeout":"700"}'
      assert.same({}, ok(post("/fetch", body:format(topic))))
      assert.is_true(service.now() - start >= 0.69)
    end)

    it("in a query", function()
      for _, timeout in ipairs { "1000", "1000.0", "1e3", "%31000" } do
        local fill = endpoints.scene()
        local body = { body = fill '{"topic":"{topic}","partition":0}' }
        local query = "?timeout=" .. timeout
        ok(get(fill "/consume/{group}/{instance}/{topic}" .. query .. "&max_messages=1.0&max_bytes=1e3"))
        ok(get(fill(COMMITTED) .. query, body))
        ok(get(fill(OFFSETS) .. query, body))
      end
    end)

    it("in a header", function()
      local headers = { ["Kafka-Session-Timeout-Ms"] = "30000.0", ["Kafka-Auto-Commit-Interval"] = "1e3" }
      ok((post_filled(CONSUME, '{"topic":"{topic}","timeout":10}', { headers = headers })))
    end)

    for path, rows in pairs {
      [FETCH] = {
        { '{"topic":"{topic}","partition":0,"offset":"1.5"}', "offset" },
        { '{"topic":"{topic}","partition":"2147483648","offset":0}', "partition", "2147483647" },
        { '{"topic":"{topic}","partition":0,"offset":0,"timeout":"600001"}', "timeout", "0 to 600000" },
        { '{"topic":"{topic}","partition":0,"offset":0,"max_messages":"0"}', "max_messages", "1 to 100000" },
        { '{"topicPartitionOffsets":[{"topic":"{topic}","partition":0,"offset":""}]}',
          "topicPartitionOffsets[0].offset" },
      },
      [CONSUME] = {
        { '{"topic":"{topic}","timeout":"-1"}', "timeout", "0 to 600000" },
        { '{"topic":"{topic}","timeout":6.00001e5}', "timeout", "0 to 600000" },
        { '{"topic":"{topic}","timeout":10.5}', "timeout", "0 to 600000" },
      },
      [COMMIT] = {
        { '{"topic":"{topic}","partition":0,"offset":"-1"}', "offset", "0 to 9223372036854775806" },
        { '{"topic":"{topic}","partition":0,"offset":"9223372036854775807"}', "offset", "9223372036854775806" },
        { '[{"topic":"{topic}","partition":0,"offset":9223372036854775808.0}]', "[0].offset", "9223372036854775806" },
      },
      [COMMITTED] = { { '{"topic":"{topic}","partition":"-1"}', "partition", "0 to 2147483647" } },
      [OFFSETS] = { { '{"topic":"{topic}","partition":"1e10"}', "partition", "0 to 2147483647" } },
      [CREATE] = { { '{"partitions":"0"}', "partitions" }, { '{"retention_ms":"-2"}', "retention_ms" } },
    } do
      for _, row in ipairs(rows) do
        it(("B3: out of range or not integral: %s %s"):format(path, row[1]), function()
          refused(post_filled(path, row[1]), 400, row[2], row[3])
        end)
      end
    end
  end)

  describe("B2: null for an optional field:", function()
    for path, body in pairs {
      [FETCH] = '{"topic":null,"partition":null,"offset":null,"timeout":null,"max_messages":null,"max_bytes":null,' ..
        '"topicPartitionOffsets":[{"topic":"{topic}","partition":0,"offset":0}]}',
      [CONSUME] = '{"topic":"{topic}","topics":null,"timeout":null,"max_messages":null,"max_bytes":null}',
      [CREATE] = '{"partitions":null,"retention_ms":null,"retention_bytes":null,"topic":null}',
    } do
      it(path, function() served((post_filled(path, body))) end)
    end

    it("/fetch of one position", function()
      local topic = service.topic(1)
      service.fill(topic, 1)
      local body = '{"topic":"%s","partition":0,"offset":0,"topicPartitionOffsets":null}'
      assert.same({ "1" }, service.values(ok(post("/fetch", body:format(topic)))))
    end)

    it("a required field counts as missing", function()
      refused(post_filled(FETCH, '{"topic":"{topic}","partition":0,"offset":null}'), 400, "offset")
      refused(post_filled(CONSUME, '{"topic":null}'), 400, "topic")
      refused(post_filled(COMMIT, '{"topic":"{topic}","partition":null,"offset":1}'), 400, "partition")
      refused(post_filled(COMMITTED, '{"topic":null,"partition":0}'), 400, "topic")
      refused(post_filled(OFFSETS, '{"topic":"{topic}","partition":null}'), 400, "partition")
    end)
  end)

  describe("topics:", function()
    it("B3: a string is a list of one", function()
      local topic, group = service.topic(1), service.name "group"
      service.fill(topic, 2)
      local path, total = ("/consume/%s/one"):format(group), 0
      service.eventually(15, function()
        local body = ('{"topics":"%s","timeout":100}'):format(topic)
        total = total + #ok(post(path, body, { headers = service.EARLIEST }))
        return total == 2
      end)
      refused(post(path, '{"topics":"a b"}'), 400, "topics:")
      refused(post(path, '{"topics":""}'), 400, "topics:")
    end)

    it("B4: those in the body must be the one in the path", function()
      local fill, names = endpoints.scene()
      local path = fill "/consume/{group}/{instance}/{topic}?timeout=10"
      for _, body in ipairs { '{"topic":"{topic}"}', '{"topics":["{topic}"]}', '{"topics":"{topic}","timeout":20}' } do
        ok(get(path, { body = fill(body) }))
      end
      local other = service.topic(1)
      for _, body in ipairs { '{"topic":"%s"}', '{"topics":["{topic}","%s"]}' } do
        refused(get(path, { body = fill((body:gsub("%%s", other))) }), 400, "topic", names.topic, other)
      end
    end)

    it("B4: that of a creation must be the one in the path", function()
      local fill, names = endpoints.scene()
      served(post(fill(CREATE), fill '{"topic":"{fresh}","partitions":1}'))
      refused(post(fill(CREATE), fill '{"topic":"{topic}"}'), 400, "topic", names.topic, names.fresh)
    end)
  end)

  describe("B4: an empty array:", function()
    for _, path in ipairs { OFFSETS, "/offsets/earliest", "/offsets/1764000000000", COMMITTED } do
      it("gets an empty array: " .. path, function()
        for _, body in ipairs { "[]", " [ ] ", MARK .. "[]" } do
          local response = post_filled(path, body)
          ok(response)
          assert.equal("[]", response.body)
        end
        refused(post_filled(path, nil), 400, "topic, partition")
      end)
    end

    it("commits nothing: " .. COMMIT, function()
      local response, names = post_filled(COMMIT, "[]")
      assert.same(SUCCESS, ok(response))
      assert.equal(-1, service.committed(names.group, names.topic))
    end)

    it("does not hide other mistakes", function()
      refused(post("/offsets/yesterday", "[]"), 400, "timestamp")
      refused(post("/offsets/latest?timeout=-1", "[]"), 400, "timeout")
      refused(post_filled(FETCH, "[]"), 400, "array")
      refused(post_filled(CONSUME, "[]"), 400, "array")
    end)
  end)

  for _, endpoint in ipairs(endpoints) do
    it("B4: " .. endpoint.name .. " accepts repeated leading slashes", function()
      each_method(endpoint, function(method)
        for _, slashes in ipairs { "/", "///" } do
          served(endpoints.request(endpoint, method, { path = slashes .. endpoint.path }))
        end
      end)
    end)

    it("B4: " .. endpoint.name .. " ignores query parameters that start with _", function()
      local query = (endpoint.query == "" and "?" or endpoint.query .. "&") .. "_=1764000000000&_&%5Fx=%zz&_=2"
      local other = changed(endpoint, { query = query })
      each_method(endpoint, function(method) served(endpoints.request(other, method)) end)
    end)

    it("B4: " .. endpoint.name .. " accepts any Content-Type", function()
      each_method(endpoint, function(method)
        for _, kind in ipairs {
          "undefined", "", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded",
          "multipart/form-data; boundary=x", "application/json; charset=latin1", "nonsense", "null",
        } do
          served(endpoints.request(endpoint, method, { headers = { ["Content-Type"] = kind } }))
        end
      end)
    end)

    if endpoint.body and endpoint.body:find "^{" then
      it("B4: " .. endpoint.name .. " accepts a byte order mark", function()
        each_method(endpoint, function(method)
          served(endpoints.request(changed(endpoint, { body = MARK .. endpoint.body }), method))
          local response = endpoints.request(changed(endpoint, { body = MARK .. MARK .. endpoint.body }), method)
          refused(response, 400, "byte 3")
        end)
      end)
    end
  end

  it("a webhook keeps the byte order mark of its body", function()
    local topic = service.topic(1)
    ok(post("/webhook?topic=" .. topic, MARK .. "x"))
    assert.equal(MARK .. "x", service.fetch_all(topic, 0, 1)[1].value)
  end)

  it("delete-consumer accepts any body", function()
    for _, body in ipairs { "{}", "null", "[]", "nonsense", MARK } do
      for _, method in ipairs { "POST", "DELETE" } do
        local fill = endpoints.scene(true)
        local response = service.request(method, fill "/delete-consumer/{group}/{instance}", { body = body })
        assert.same(SUCCESS, ok(response))
      end
    end
  end)

  describe("header values in any letter case:", function()
    it("Kafka-Auto-Offset-Reset, Kafka-Enable-Auto-Commit", function()
      for _, words in ipairs { { "Earliest", "FALSE" }, { "EARLIEST", "True" }, { "earliest", "TRUE" } } do
        local topic, group = service.topic(1), service.name "group"
        service.fill(topic, 2)
        local headers = { ["Kafka-Auto-Offset-Reset"] = words[1], ["KAFKA-ENABLE-AUTO-COMMIT"] = words[2] }
        assert.same({ "1", "2" }, service.values(service.consume_all(group, "one", topic, 2, headers)))
      end
    end)

    it("Kafka-Encoding", function()
      for _, word in ipairs { "BASE64", "Base64" } do
        local topic, headers = service.topic(1), { ["Kafka-Encoding"] = word }
        ok(post("/produce/" .. topic, '{"value":"aGk="}', { headers = headers }))
        local body = ('{"topic":"%s","partition":0,"offset":0}'):format(topic)
        assert.equal("aGk=", ok(post("/fetch", body, { headers = headers }))[1].value)
        assert.equal("hi", ok(post("/fetch", body))[1].value)
      end
    end)
  end)

  describe("B9: a plus:", function()
    it("is a space in a query", function()
      local topic = service.topic(1)
      ok(get(("/produce/%s/v?key=a+b%%2Bc%%20d+"):format(topic)))
      assert.equal("a b+c d ", service.fetch_all(topic, 0, 1)[1].key)
    end)

    it("is a plus in a path", function()
      local topic = service.topic(1)
      ok(get(("/produce/%s/a+b%%2Bc%%20d+"):format(topic)))
      assert.equal("a+b+c d+", service.fetch_all(topic, 0, 1)[1].value)
    end)

    it("is a plus in base64, which contains no spaces", function()
      local topic, headers = service.topic(1), { ["Kafka-Encoding"] = "base64" }
      ok(get(("/produce/%s/++++?key=++++"):format(topic), { headers = headers }))
      local body = ('{"topic":"%s","partition":0,"offset":0}'):format(topic)
      local message = ok(post("/fetch", body, { headers = headers }))[1]
      assert.same({ "++++", "++++" }, { message.key, message.value })
    end)

    it("is a space in the credentials of a webhook", function()
      local function form(text)
        return (text:gsub("[^%w ]", function(c) return ("%%%02X"):format(c:byte()) end):gsub(" ", "+"))
      end
      local path = ("/webhook?topic=%s&user=%s&pass=%s"):format(service.topic(1), form(service.username),
        form(service.password))
      ok(post(path, "v", { auth = false }))
      refused(post(path .. "+", "v", { auth = false }), 401)
    end)
  end)

  describe("the error names the nearest known name for an unknown", function()
    for path, rows in pairs {
      [FETCH] = {
        { '{"topic":"{topic}","partition":0,"ofset":0}', '"ofset"', '"offset"' },
        { '{"topicPartitionOffset":[]}', '"topicPartitionOffset"', '"topicPartitionOffsets"' },
        { '{"topicPartitionOffsets":[{"topik":"t"}]}', "topicPartitionOffsets[0]", '"topic"' },
      },
      [CONSUME] = { { '{"topc":["{topic}"]}', '"topc"', '"topic"' }, { '{"timeOut":1}', '"timeOut"', '"timeout"' } },
      [COMMIT] = { { '{"Offset":1}', '"Offset"', '"offset"' } },
      [COMMITTED] = { { '{"partitions":0}', '"partitions"', '"partition"' } },
      [OFFSETS] = { { '[{"top":0}]', '"top"', '"topic"' } },
      [CREATE] = { { '{"partition":1}', '"partition"', '"partitions"' } },
      [PRODUCE] = { { '{"val":"v"}', '"val"', '"value"' } },
    } do
      for _, row in ipairs(rows) do
        it(("field: %s %s"):format(path, row[1]), function()
          refused(post_filled(path, row[1]), 400, row[2], row[3])
        end)
      end
    end

    it("query parameter", function()
      local fill = endpoints.scene()
      local path = fill "/consume/{group}/{instance}/{topic}"
      refused(get(path .. "?timout=10"), 400, '"timout"', '"timeout"')
      refused(get(path .. "?maxMessages=10"), 400, '"maxMessages"', '"max_messages"')
      refused(get(fill "/produce/{topic}/v?keys=k"), 400, '"keys"', '"key"')
      refused(get "/topics?timeout=1", 400, '"timeout"')
    end)
  end)
end)
