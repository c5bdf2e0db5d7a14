-- Section 8 of the contract: Kafka-Encoding: base64, and bytes that are not UTF-8.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local post, ok, refused = service.post, service.ok, service.refused

local BASE64 = { headers = { ["Kafka-Encoding"] = "base64" } }
local coded = http.base64
local REPLACED = "\239\191\189" -- U+FFFD

local every_byte = {}
for byte = 0, 255 do every_byte[byte + 1] = string.char(byte) end
every_byte = table.concat(every_byte)

-- A topic with one message of these bytes; sent and read back as text or as base64.
local function sent(value, key, header)
  local topic = service.topic(1)
  ok(post("/produce/" .. topic, {
    value = coded(value), key = key and coded(key),
    headers = header and { { key = "h", value = coded(header) } },
  }, BASE64))
  return topic
end

local function fetched(topic, options)
  return ok(post("/fetch", { topic = topic, partition = 0, offset = 0, timeout = 5000 }, options))[1]
end

describe("binary:", function()
  service.attach()

  it("keys, values and header values travel as base64 both ways", function()
    local message = fetched(sent(every_byte, "\0\255key", "\254header"), BASE64)
    assert.equal(coded(every_byte), message.value)
    assert.equal(coded "\0\255key", message.key)
    assert.same({ { key = "h", value = coded "\254header" } }, message.headers)
  end)

  for _, value in ipairs { "", "a", "ab", "abc", "abcd", "\255", "\251\255\191" } do
    it("base64 of " .. (value:gsub("[^%g]", function(c) return ("\\%d"):format(c:byte()) end)), function()
      assert.equal(coded(value), fetched(sent(value), BASE64).value)
    end)
  end

  it("works for consume", function()
    local topic, group = sent(every_byte, "k", "\255"), service.name "group"
    local headers = { ["Kafka-Encoding"] = "base64", ["Kafka-Auto-Offset-Reset"] = "earliest" }
    local message = service.consume_all(group, "one", topic, 1, headers)[1]
    assert.equal(coded(every_byte), message.value)
    assert.equal(coded "k", message.key)
    assert.equal(coded "\255", message.headers[1].value)
  end)

  it("applies to one request: a message sent as base64 is read as text", function()
    local message = fetched(sent("héllo", "k", "w"))
    assert.equal("héllo", message.value)
    assert.equal("k", message.key)
    assert.same({ { key = "h", value = "w" } }, message.headers)
  end)

  it("applies to one request: a message sent as text is read as base64", function()
    local topic = service.topic(1)
    service.produce(topic, { { value = "text", key = "k" } })
    local message = fetched(topic, BASE64)
    assert.equal(coded "text", message.value)
    assert.equal(coded "k", message.key)
  end)

  it("an absent key is the empty string", function()
    assert.equal("", fetched(sent "v", BASE64).key)
  end)

  it("the partition is chosen by the decoded bytes of the key", function()
    local topic = service.topic(7)
    local plain = service.produce(topic, { { value = "v", key = "foobar" } })[1]
    local body = { value = coded "v", key = coded "foobar" }
    assert.equal(plain.partition, ok(post("/produce/" .. topic, body, BASE64))[1].partition)
  end)

  it("no other spelling of the encoding is accepted", function()
    for _, name in ipairs { "base65", "base64url", "gzip" } do
      local options = { headers = { ["Kafka-Encoding"] = name } }
      refused(post("/produce/" .. service.topic(1), { value = "AAAA" }, options), 400, "Kafka-Encoding")
    end
  end)

  for field, body in pairs {
    value = '{"value":"***"}', key = '{"value":"AAAA","key":"A"}',
    headers = '{"value":"AAAA","headers":[{"key":"h","value":"AAA"}]}',
  } do
    it("the error for invalid base64 names the field: " .. field, function()
      refused(post("/produce/" .. service.topic(1), body, BASE64), 400,
        field == "headers" and "header" or field)
    end)
  end

  for _, bad in ipairs { "A", "AA", "AAA", "AAAA=", "A===", "AA=A", "AA AA", "====", "AAAé" } do
    it("refuses " .. bad, function()
      refused(post("/produce/" .. service.topic(1), { value = bad }, BASE64), 400, "value")
    end)
  end

  describe("bytes that are not UTF-8", function()
    for what, bytes in pairs {
      ["a lone continuation"] = "\128", ["FF"] = "\255", ["a cut sequence"] = "\226\130",
      ["an overlong slash"] = "\192\175", ["a surrogate"] = "\237\160\128",
      ["past U+10FFFF"] = "\244\144\128\128",
    } do
      it(what .. " in a request without base64 is a 400", function()
        local topic = service.topic(1)
        refused(post("/produce/" .. topic, '{"value":"a' .. bytes .. 'b"}'), 400)
        refused(post("/produce/" .. topic, '{"value":"v","key":"' .. bytes .. '"}'), 400)
        refused(post("/produce/" .. topic,
          '{"value":"v","headers":[{"key":"h","value":"' .. bytes .. '"}]}'), 400)
        local path = bytes:gsub(".", function(c) return ("%%%02X"):format(c:byte()) end)
        refused(service.get(("/produce/%s/%s"):format(topic, path)), 400)
        refused(service.get(("/produce/%s/v?key=%s"):format(topic, path)), 400)
        assert.equal(0, service.end_offset(topic))
      end)
    end

    for what, row in pairs {
      ["one"] = { "a\255b", "a" .. REPLACED .. "b" },
      ["two in a row"] = { "\254\255", REPLACED:rep(2) },
      ["a lone continuation"] = { "é\128é", "é" .. REPLACED .. "é" },
      ["every byte of a cut sequence"] = { "\226\130x", REPLACED:rep(2) .. "x" },
      ["a cut sequence at the end"] = { "x\240\159\152", "x" .. REPLACED:rep(3) },
      ["an overlong slash"] = { "\192\175", REPLACED:rep(2) },
      ["a surrogate"] = { "\237\160\128", REPLACED:rep(3) },
    } do
      it("are each replaced when read as text: " .. what, function()
        assert.equal(row[2], fetched(sent(row[1])).value)
      end)
    end

    it("are replaced in keys and header values, in fetch and in consume", function()
      local topic = sent("\255v", "\255k", "\255h")
      local consumed = service.consume_all(service.name "group", "one", topic, 1, service.EARLIEST)
      for _, message in ipairs { fetched(topic), consumed[1] } do
        assert.equal(REPLACED .. "v", message.value)
        assert.equal(REPLACED .. "k", message.key)
        assert.equal(REPLACED .. "h", message.headers[1].value)
      end
    end)
  end)
end)
