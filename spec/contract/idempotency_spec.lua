-- Section 8 of the contract: retry-safe produce.

local gzip = require "spec.contract.gzip"
local service = require "spec.contract.service"

local post, ok, refused = service.post, service.ok, service.refused

-- Each kind of produce: a function of the topic that returns method, path and body.
local KINDS = {
  ["GET with the message in the path"] = function(topic) return "GET", ("/produce/%s/v?key=k"):format(topic) end,
  ["POST to a topic"] = function(topic) return "POST", "/produce/" .. topic, '{"value":"a\\nb","key":"k"}' end,
  ["GET with a body"] = function(topic) return "GET", "/produce/" .. topic, '[{"value":"v"}]' end,
  ["POST with topics in the body"] = function(topic)
    return "POST", "/produce", ('[{"topic":%q,"value":"1"},{"topic":%q,"value":"2"}]'):format(topic, topic)
  end,
  ["a webhook"] = function(topic) return "POST", "/webhook?topic=" .. topic, "value" end,
}

describe("retry-safe produce:", function()
  service.attach()

  local function send(key, method, path, body, headers)
    local all = { ["Idempotency-Key"] = key }
    for name, value in pairs(headers or {}) do all[name] = value end
    return service.request(method, path, { body = body, headers = all })
  end

  -- Asserts that `again` is the first answer, and says so.
  local function is_replay(first, again)
    ok(first)
    assert.is_nil(first.headers["idempotent-replayed"])
    assert.equal(200, again.status, again.body)
    assert.equal(first.body, again.body)
    assert.equal("true", again.headers["idempotent-replayed"])
  end

  for kind, request in pairs(KINDS) do
    it("the same request with the same key returns the first answer and appends nothing: " .. kind, function()
      local topic, key = service.topic(1), service.name "key"
      local method, path, body = request(topic)
      local first = send(key, method, path, body)
      ok(first)
      local stored = service.end_offset(topic)
      for _ = 1, 3 do is_replay(first, send(key, method, path, body)) end
      assert.equal(stored, service.end_offset(topic))
      ok(send(service.name "key", method, path, body))
      ok(send(nil, method, path, body))
      assert.equal(3 * stored, service.end_offset(topic))
    end)
  end

  it("a key has 1 to 128 visible ASCII characters", function()
    local topic = service.topic(1)
    for _, wrong in ipairs { "", "a b", "ä", ("x"):rep(129) } do
      refused(send(wrong, "POST", "/produce/" .. topic, '{"value":"v"}'), 400, "Idempotency-Key")
    end
    assert.equal(0, service.end_offset(topic))
    local long = service.name "key"
    for _, key in ipairs { long .. ("~"):rep(128 - #long), "!" .. long } do
      local first = send(key, "POST", "/produce/" .. topic, '{"value":"v"}')
      is_replay(first, send(key, "POST", "/produce/" .. topic, '{"value":"v"}'))
    end
    assert.equal(2, service.end_offset(topic))
  end)

  it("another request with the key is a 422 that appends nothing", function()
    local topic, other, key = service.topic(1), service.topic(1), service.name "key"
    local path = "/produce/" .. topic
    local first = send(key, "POST", path, '{"value":"djdn"}')
    ok(first)
    for _, row in ipairs {
      { "GET", path, '{"value":"djdn"}' }, { "POST", "/produce/" .. other, '{"value":"djdn"}' },
      { "POST", path, '{"value":"djdo"}' }, { "POST", path, '[{"value":"djdn"}]' },
      { "POST", path, '{"value":"djdn"}', { ["Kafka-Encoding"] = "base64" } },
      { "POST", "/webhook?topic=" .. topic, '{"value":"djdn"}' }, { "GET", path .. "/djdn" },
      { "GET", path .. "/djdn?key=k" },
    } do
      refused(send(key, row[1], row[2], row[3], row[4]), 422, "idempotency key")
    end
    is_replay(first, send(key, "POST", path, '{"value":"djdn"}'))
    assert.equal(1, service.end_offset(topic))
    assert.equal(0, service.end_offset(other))
  end)

  it("what does not count in the query and in headers makes no other request", function()
    local topic, key = service.topic(1), service.name "key"
    local first = send(key, "POST", "/produce/" .. topic, '{"value":"v"}')
    is_replay(first, send(key, "POST", "/produce/" .. topic .. "?_=1764000000000", '{"value":"v"}'))
    is_replay(first, send(key, "POST", "//produce/" .. topic .. "/", '{"value":"v"}', { ["X-Trace"] = "1" }))
    local user = service.username:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end)
    local pass = service.password:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end)
    local hook = "/webhook?topic=" .. topic
    key = service.name "key"
    first = send(key, "POST", hook, "v", { ["X-Attempt"] = "1" })
    is_replay(first, send(key, "POST", hook, "v", { ["X-Attempt"] = "2" }))
    is_replay(first, send(key, "POST", ("%s&user=%s&pass=%s"):format(hook, user, pass), "v"))
    refused(send(key, "POST", hook .. "&source=a", "v"), 422)
    assert.equal(2, service.end_offset(topic))
  end)

  it("a body counts as it is after decompression", function()
    local topic, key = service.topic(1), service.name "key"
    local path, body = "/produce/" .. topic, '{"value":"v"}'
    local first = send(key, "POST", path, body)
    is_replay(first, send(key, "POST", path, gzip.zip(body), { ["Content-Encoding"] = "gzip" }))
    assert.equal(1, service.end_offset(topic))
  end)

  it("base64 and JSON escapes, which are read in place, make no other request", function()
    local topic, key = service.topic(1), service.name "key"
    local base64 = { ["Kafka-Encoding"] = "base64" }
    local body = '[{"value":"AAEC\\u002fw==","key":"aw==","headers":{"a":"Yg=="}}]'
    local first = send(key, "POST", "/produce/" .. topic, body, base64)
    is_replay(first, send(key, "POST", "/produce/" .. topic, body, { ["kafka-encoding"] = "BASE64" }))
    key = service.name "key"
    first = send(key, "GET", ("/produce/%s/djdn?key=aw%%3D%%3D"):format(topic), nil, base64)
    is_replay(first, send(key, "GET", ("/produce/%s/djdn?key=aw%%3D%%3D"):format(topic), nil, base64))
    assert.equal(2, service.end_offset(topic))
  end)

  it("while the first is under way, others with the key wait for it", function()
    local topic, key = service.topic(1), service.name "key"
    local request = service.client:build("POST", "/produce/" .. topic, {
      body = '{"value":"v"}', headers = { ["Idempotency-Key"] = key },
    })
    local connections, bodies, replays = {}, {}, 0
    for number = 1, 20 do connections[number] = service.client:connect() end
    for _, connection in ipairs(connections) do connection:send(request) end
    for number, connection in ipairs(connections) do
      local response = connection:receive "POST"
      ok(response)
      bodies[number] = response.body
      if response.headers["idempotent-replayed"] then replays = replays + 1 end
      connection:close()
    end
    for _, body in ipairs(bodies) do assert.equal(bodies[1], body) end
    assert.equal(19, replays)
    assert.equal(1, service.end_offset(topic))
  end)

  it("after a 4xx the key is free", function()
    local topic, key = service.topic(1), service.name "key"
    refused(send(key, "POST", "/produce/" .. topic, '{"value":"v","partition":7}'), 400)
    refused(send(key, "POST", "/produce/" .. topic, '{"valeu":"v"}'), 400)
    local first = send(key, "POST", "/produce/" .. topic, '{"value":"w"}')
    is_replay(first, send(key, "POST", "/produce/" .. topic, '{"value":"w"}'))
    assert.equal(1, service.end_offset(topic))
  end)

  it("an answer without a message leaves the key free", function()
    local topic, key = service.topic(1), service.name "key"
    assert.same({}, ok(send(key, "POST", "/produce/" .. topic, "[]")))
    local first = send(key, "POST", "/produce/" .. topic, '{"value":"v"}')
    is_replay(first, send(key, "POST", "/produce/" .. topic, '{"value":"v"}'))
  end)

  it("a large request is replayed whole", function()
    local topic, key, messages = service.topic(3), service.name "key", {}
    for number = 1, 3000 do messages[number] = { value = tostring(number), key = "k" .. number } end
    local body = service.json(messages)
    local first = send(key, "POST", "/produce/" .. topic, body)
    assert.equal(3000, #ok(first))
    is_replay(first, send(key, "POST", "/produce/" .. topic, body))
    local stored = 0
    for partition = 0, 2 do stored = stored + service.end_offset(topic, partition) end
    assert.equal(3000, stored)
  end)

  it("a key means nothing outside of a produce", function()
    local key = service.name "key"
    local path = "/topics/" .. service.name "topic"
    assert.equal(201, post(path, {}, { headers = { ["Idempotency-Key"] = key } }).status)
    local response = post(path, {}, { headers = { ["Idempotency-Key"] = key } })
    assert.equal(200, response.status)
    assert.is_nil(response.headers["idempotent-replayed"])
  end)
end)
