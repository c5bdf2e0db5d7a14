-- Section 1 of the contract, "liberal in what is accepted": what a produce accepts.

local service = require "spec.contract.service"

local post, ok, refused = service.post, service.ok, service.refused

local BASE64 = { ["Kafka-Encoding"] = "base64" }
local LAST_TIMESTAMP = "9007199254740992" -- 2^53

-- The message that a body becomes, as fetched.
local function stored(body, headers)
  local topic = service.topic(1)
  ok(post("/produce/" .. topic, body, { headers = headers }))
  return service.fetch_all(topic, 0, 1)[1]
end

local function refuses(body, ...)
  local topic = service.topic(1)
  refused(post("/produce/" .. topic, body), 400, ...)
  assert.equal(0, service.end_offset(topic))
end

describe("lenient produce:", function()
  service.attach()

  for _, text in ipairs {
    "42", "4.20", "-0", "1E+3", "1e999", "123456789012345678901234567890", "0.1", "true", "false",
  } do
    it("B3: accepts " .. text .. " as text", function()
      local body = '{"value":%s,"key": %s ,"headers":[{"key":%s,"value":%s}]}'
      local message = stored((body:gsub("%%s", text)))
      assert.equal(text, message.value)
      assert.equal(text, message.key)
      assert.same({ { key = text, value = text } }, message.headers)
    end)
  end

  it("B3: accepts a number as a topic name", function()
    local topic = tostring(math.random(10 ^ 9, 2 * 10 ^ 9 - 1))
    post("/topics/" .. topic, { partitions = 1 })
    service.eventually(10, function() return ok(service.get "/topics")[topic] end)
    assert.equal(topic, ok(post("/produce", ('{"topic":%s,"value":"v"}'):format(topic)))[1].topic)
  end)

  describe("B3: a value that is an object or array is stored byte for byte", function()
    for _, value in ipairs {
      "{}", "[]", '{"vin":"1F"}', '{ "a" :\t[ 1 , 2.50,1E+3 ]\r\n}', '{"b":1,"a":2,"b":3}',
      [=[["\u0041\n\"\\\/ é€😀 \ud83d\ude00"]]=], [=[["\ud83d"]]=], '[[[{"deep":[null,true,-0]}]]]',
      '{"value":{"value":[]},"topic":5}', "[1e999,123456789012345678901234567890]",
    } do
      it(value, function()
        assert.equal(value, stored(('{"value":%s}'):format(value)).value)
        assert.equal(value, stored(('[{ "value" : %s , "key":"\\n" },]'):format(value)).value)
      end)
    end

    it("as large as a message may be, and no larger", function()
      local value = ('["%s"]'):format(("\\u0041"):rep(100000))
      assert.equal(value, stored(('{"value":%s}'):format(value)).value)
      local large = ('{"value":["%s"]}'):format(("x"):rep(2 * 2 ^ 20))
      refused(post("/produce/" .. service.topic(1), large), 413)
    end)

    it("and must be strict JSON: the error says where it is not", function()
      for body, place in pairs {
        ['{"value":[1,]}'] = "byte 11", ['{"value":{"a":{"b":1,}}}'] = "byte 20",
        ['{"value":{"a":01}}'] = "byte 15", ['{"value":[}'] = "byte 10",
        [ [[{"value":["\x"]}]] ] = "byte 11", ['{"value":[1'] = "byte 11",
      } do
        refuses(body, place)
      end
    end)

    it("nested 1000 levels deep, and no deeper", function()
      local function nested(levels) return ("["):rep(levels) .. ("]"):rep(levels) end
      for _, levels in ipairs { 63, 64, 65, 1000 } do
        assert.equal(nested(levels), stored(('{"value":%s}'):format(nested(levels))).value)
        assert.equal(nested(levels), stored(('[{"value":%s}]'):format(nested(levels))).value)
      end
      refuses(('{"value":%s}'):format(nested(1001)), "value: at most 1000 levels expected")
      local objects = ('{"a":'):rep(1000) .. "1" .. ("}"):rep(1000)
      assert.equal(objects, stored(('{"value":%s}'):format(objects)).value)
      refuses(('{"value":{"a":%s}}'):format(objects), "value: at most 1000 levels expected")
    end)

    it("but must be a string in base64", function()
      for _, value in ipairs { "1234", "true", "{}", '["aGk="]' } do
        local response = post("/produce/" .. service.topic(1), ('{"value":%s}'):format(value), { headers = BASE64 })
        refused(response, 400, "value", "base64")
      end
      local response = post("/produce/" .. service.topic(1), '[{"value":"aGk=","key":1234}]', { headers = BASE64 })
      refused(response, 400, "[0].key", "base64")
      assert.equal("hi", stored('{"value":"aGk="}', BASE64).value)
    end)
  end)

  it("B2: null omits an optional field", function()
    local message = stored '{"partition":null,"timestamp":null,"key":null,"value":"v","headers":null}'
    assert.same({ "v", "", {}, 0 }, { message.value, message.key, message.headers, message.partition })
    assert.is_true(math.abs(message.timestamp / 1000 - service.now()) < 3600)
    local topic = service.topic(1)
    ok(post("/produce/" .. topic, '{"topic":null,"value":"v"}'))
    refused(post("/produce", '{"topic":null,"value":"v"}'), 400, "topic")
  end)

  -- Produces a message with that key in each of 24 requests; returns how many partitions of four
  -- got some.
  local function partitions_used(key)
    local topic = service.topic(4)
    local used, count = {}, 0
    for _ = 1, 24 do
      local partition = ok(post("/produce/" .. topic, ('{"key":%s,"value":"v"}'):format(key)))[1].partition
      count = count + (used[partition] and 0 or 1)
      used[partition] = true
    end
    return count
  end

  it("B2: a null key is no key: such messages are spread, those with an empty key are not", function()
    assert.is_true(partitions_used "null" > 1)
    assert.equal(1, partitions_used '""')
  end)

  it("B2: a header value that is null is empty", function()
    for _, headers in ipairs { '[{"key":"a","value":null},{"value":null,"key":"b"}]', '{"a":null,"b":null}' } do
      local message = stored(('{"value":"v","headers":%s}'):format(headers))
      assert.same({ { key = "a", value = "" }, { key = "b", value = "" } }, message.headers)
    end
  end)

  it("B2: a value that is null is a tombstone", function()
    assert.equal(service.null, stored('{"value":null,"key":"k"}').value)
  end)

  describe("B4: headers as an object", function()
    it("are the same as a list of them", function()
      local message = stored '{"value":"v","headers":{"trace":"1","":"é","n":2,"\\u0041":true,}}'
      assert.same({
        { key = "trace", value = "1" }, { key = "", value = "é" }, { key = "n", value = "2" },
        { key = "A", value = "true" },
      }, message.headers)
      assert.same({}, stored('{"value":"v","headers":{}}').headers)
    end)

    it("keep their order and repeated names", function()
      local message = stored '{"value":"v","headers":{"b":"1","a":"2","b":"3"}}'
      assert.same({ { key = "b", value = "1" }, { key = "a", value = "2" }, { key = "b", value = "3" } },
        message.headers)
    end)

    it("travel as base64 on request", function()
      assert.same({ { key = "h", value = "hi" } }, stored('{"value":"","headers":{"h":"aGk="}}', BASE64).headers)
    end)

    it("number at most a thousand", function()
      local function of(count)
        local pairs_of = {}
        for number = 1, count do pairs_of[number] = ('"%d":"v"'):format(number) end
        return ('{"value":"v","headers":{%s}}'):format(table.concat(pairs_of, ","))
      end
      assert.equal(1000, #stored(of(1000)).headers)
      refuses(of(1001), "headers")
    end)

    it("are named in errors", function()
      refuses('{"value":"v","headers":{"trace":{}}}', "headers.trace")
      refuses('[{"value":"v"},{"value":"v","headers":{"trace":[]}}]', "[1].headers.trace")
    end)
  end)

  describe("B4: the topic in the path and in the body", function()
    it("may agree", function()
      local topic = service.topic(1)
      ok(post("/produce/" .. topic, { topic = topic, value = "a" }))
      ok(post("/produce/" .. topic, { { value = "b" }, { value = "c", topic = topic } }))
      assert.same({ "a", "b", "c" }, service.values(service.fetch_all(topic, 0, 3)))
    end)

    it("may not differ", function()
      local topic, other = service.topic(1), service.topic(1)
      local path = "/produce/" .. topic
      refused(post(path, { topic = other, value = "v" }), 400, "topic", topic, other)
      refused(post(path, { { value = "v" }, { value = "v", topic = other } }), 400, "[1].topic", topic, other)
      assert.equal(0, service.end_offset(topic))
      assert.equal(0, service.end_offset(other))
    end)
  end)

  it("B4: an empty array gets an empty array", function()
    local topic = service.topic(1)
    for _, path in ipairs { "/produce", "/produce/" .. topic } do
      for _, body in ipairs { "[]", " [\n] ", "\239\187\191[]" } do
        local response = post(path, body)
        ok(response)
        assert.equal("[]", response.body)
      end
      refused(post(path), 400, "message")
    end
    refused(post("/produce/a%20b", "[]"), 400, "topic")
    assert.equal(0, service.end_offset(topic))
  end)

  describe("a partition", function()
    for _, written in ipairs { '"1"', "1.0", "10e-1", "0.1e1", '"1.0"' } do
      it("B3: is an integer however it is written: " .. written, function()
        local topic = service.topic(2)
        assert.equal(1, ok(post("/produce/" .. topic, ('{"value":"v","partition":%s}'):format(written)))[1].partition)
      end)
    end

    it("B3: has the same limits however it is written", function()
      for _, written in ipairs { '"2147483647"', "2147483647.0" } do
        refuses(('{"value":"v","partition":%s}'):format(written), "no partition 2147483647")
      end
      for _, written in ipairs { '"2147483648"', "2147483648.0", '"-1"', "-1", "1e99", "0.5", '""', '" 0"', '"0x0"' } do
        refuses(('{"value":"v","partition":%s}'):format(written), "partition", "0 to 2147483647")
      end
    end)
  end)

  describe("a timestamp", function()
    for _, written in ipairs {
      "1764000000000.0", '"1764000000000"', "1.764e12", "1764000000000000e-3", '"1764000000000.0"',
    } do
      it("B3: is an integer however it is written: " .. written, function()
        local response = post("/produce/" .. service.topic(1), ('{"value":"v","timestamp":%s}'):format(written))
        ok(response)
        assert.is_truthy(response.body:find('"timestamp":1764000000000', 1, true), response.body)
      end)
    end

    it("A3: is 1 to 2^53", function()
      local body = '{"value":"v","timestamp":%s}'
      assert.equal(1, ok(post("/produce/" .. service.topic(1), body:format "1"))[1].timestamp)
      for _, written in ipairs {
        "0", "-1", "9007199254740993", '"9007199254740993"', "9007199254740993.0", "1764000000000000000",
        "9223372036854775807", "9223372036854775808", "1e300",
      } do
        refuses(body:format(written), "timestamp", "1 to " .. LAST_TIMESTAMP)
      end
      -- An engine may have its own reason to refuse such a distant time.
      for _, written in ipairs { LAST_TIMESTAMP, '"9007199254740992"', "9007199254740992.0" } do
        local response = post("/produce/" .. service.topic(1), body:format(written))
        assert.is_nil(response.body:find("1 to " .. LAST_TIMESTAMP, 1, true), response.body)
      end
    end)
  end)

  describe("an unknown field", function()
    for body, words in pairs {
      ['{"value":"v","keey":"k"}'] = { '"keey"', '"key"' },
      ['{"valeu":"v"}'] = { '"valeu"', '"value"' },
      ['{"value":"v","Partition":0}'] = { '"Partition"', '"partition"' },
      ['[{"value":"v"},{"value":"v","time_stamp":1}]'] = { "[1]", '"time_stamp"', '"timestamp"' },
      ['{"value":"v","header":[]}'] = { '"header"', '"headers"' },
      ['{"value":"v","headers":[{"key":"k","val":"v"}]}'] = { "headers[0]", '"val"', '"value"' },
    } do
      it("is named with the nearest known one: " .. body, function() refuses(body, (table.unpack or unpack)(words)) end)
    end

    it("of any length and bytes is refused", function()
      refuses(('{"value":"v","%s":1}'):format(("x"):rep(100000)), "xxxx")
      refuses('{"value":"v","":1}', '""')
      refuses('{"value":"v","k\\u0000y":1}', '"key"')
    end)
  end)
end)
