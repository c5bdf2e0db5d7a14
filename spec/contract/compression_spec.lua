-- Section 8 of the contract: gzip on requests and responses. Needs the gzip program.

local gzip = require "spec.contract.gzip"
local service = require "spec.contract.service"

local post, ok, refused = service.post, service.ok, service.refused

local function send(topic, body, encoding)
  local options = { headers = { ["Content-Encoding"] = encoding or "gzip" } }
  return post("/produce/" .. topic, body, options)
end

describe("compression:", function()
  service.attach()

  describe("Content-Encoding: gzip", function()
    it("is decompressed", function()
      local topic = service.topic(1)
      ok(send(topic, gzip.zip '{"value":"zipped"}'))
      assert.same({ "zipped" }, service.values(service.fetch_all(topic, 0, 1)))
    end)

    it("is decompressed for large bodies, in chunks", function()
      local topic, messages, chunks = service.topic(1), {}, {}
      for number = 1, 1000 do messages[number] = { value = number .. ("x"):rep(1000) } end
      local zipped = gzip.zip(service.json(messages))
      for start = 1, #zipped, 100 do table.insert(chunks, zipped:sub(start, start + 99)) end
      local options = { chunks = chunks, headers = { ["Content-Encoding"] = "gzip" } }
      assert.equal(1000, #ok(post("/produce/" .. topic, nil, options)))
      local fetched = service.fetch_all(topic, 0, 1000)
      assert.equal(messages[1000].value, fetched[1000].value)
    end)

    it("may be called x-gzip", function()
      local topic = service.topic(1)
      ok(send(topic, gzip.zip '{"value":"zipped"}', "x-gzip"))
      assert.same({ "zipped" }, service.values(service.fetch_all(topic, 0, 1)))
    end)

    it("is decompressed for a webhook", function()
      local topic = service.topic(1)
      local options = { headers = { ["Content-Encoding"] = "gzip" } }
      ok(post("/webhook?topic=" .. topic, gzip.zip "raw event", options))
      local message = service.fetch_all(topic, 0, 1)[1]
      assert.equal("raw event", message.value)
      assert.same({}, message.headers)
    end)

    it("is decompressed for a fetch", function()
      local topic = service.topic(1)
      service.produce(topic, "v")
      local body = gzip.zip(service.json { topic = topic, partition = 0, offset = 0, timeout = 5000 })
      local options = { headers = { ["Content-Encoding"] = "gzip" } }
      assert.same({ "v" }, service.values(ok(post("/fetch", body, options))))
    end)

    local whole = gzip.zip '{"value":"some value that is zipped"}'
    for what, body in pairs {
      ["is not gzip"] = '{"value":"plain"}',
      ["is cut off"] = whole:sub(1, -12),
      ["lacks its trailer"] = whole:sub(1, -9),
      ["has a wrong checksum"] = whole:sub(1, -9) .. "\0\0\0\0" .. whole:sub(-4),
      ["is empty"] = "",
    } do
      it("is a 400 when the body " .. what, function()
        local topic = service.topic(1)
        refused(send(topic, body), 400)
        assert.equal(0, service.end_offset(topic))
      end)
    end

    it("is a 413 when the decompressed body is over the limit", function()
      local topic = service.topic(1)
      local body = '{"value":"' .. ("x"):rep(64 * 2 ^ 20) .. '"}'
      refused(send(topic, gzip.zip(body, 1)), 413)
    end)
  end)

  it("any other Content-Encoding is refused", function()
    refused(send(service.topic(1), '{"value":"v"}', "br"), { 400, 415 })
  end)

  it("any other Content-Encoding is refused in chunks and without a body too", function()
    local other = { ["Content-Encoding"] = "br" }
    refused(post("/produce/" .. service.topic(1), nil, { chunks = { "x" }, headers = other }), { 400, 415 })
    refused(service.get("/topics", { headers = other }), { 400, 415 })
  end)

  it("Content-Encoding: gzip without a body is a request without a body", function()
    ok(service.get("/topics", { headers = { ["Content-Encoding"] = "gzip" } }))
  end)

  it("the error for malformed gzip says so", function()
    refused(send(service.topic(1), '{"value":"plain"}'), 400, "body: malformed gzip")
  end)

  for _, none in ipairs { "identity", "Identity", "" } do
    it(("Content-Encoding: %s means no encoding"):format(none), function()
      ok(send(service.topic(1), '{"value":"v"}', none))
    end)
  end

  describe("Accept-Encoding: gzip", function()
    local topic

    -- A fetch of a hundred kilobytes.
    local function fetch(accept)
      if not topic then
        topic = service.topic(1)
        service.produce(topic, { { value = ("lorem ipsum "):rep(8000) } })
      end
      local headers = { ["Accept-Encoding"] = accept }
      local position = { topic = topic, partition = 0, offset = 0, timeout = 5000 }
      return post("/fetch", position, { headers = headers })
    end

    for _, accept in ipairs { "gzip", "gzip, deflate, br", "deflate, gzip;q=1.0", "GZIP", "gzip;q=0.5" } do
      it(accept .. ": a large response is compressed", function()
        local response = fetch(accept)
        assert.equal("gzip", response.headers["content-encoding"])
        assert.is_true(#response.body < 20000)
        assert.equal(("lorem ipsum "):rep(8000), ok(gzip.undo(response))[1].value)
      end)
    end

    for _, accept in ipairs { "identity", "gzip;q=0", "deflate", "br", "gzipped", "" } do
      it(("%q: the response is not compressed"):format(accept), function()
        local response = fetch(accept)
        assert.is_nil(response.headers["content-encoding"])
        assert.equal(("lorem ipsum "):rep(8000), ok(response)[1].value)
      end)
    end

    it("without the header the response is not compressed", function()
      local response = fetch()
      assert.is_nil(response.headers["content-encoding"])
      assert.equal(1, #ok(response))
    end)

    it("works for consume", function()
      fetch()
      local headers = { ["Accept-Encoding"] = "gzip", ["Kafka-Auto-Offset-Reset"] = "earliest" }
      local path = ("/consume/%s/one"):format(service.name "group")
      local messages = service.eventually(15, function()
        local response = post(path, { topic = topic, timeout = 1000 }, { headers = headers })
        local messages = ok(gzip.undo(response))
        return #messages > 0 and messages
      end)
      assert.equal(("lorem ipsum "):rep(8000), messages[1].value)
    end)

    it("leaves errors readable", function()
      local options = { headers = { ["Accept-Encoding"] = "gzip" } }
      refused(gzip.undo(service.get("/nope", options)), 404)
    end)
  end)
end)
