-- Section 4 of the contract: what a client leaves unread of a response, although the server could
-- write all of it. The client's system resets the connection, and the messages come again. What a
-- client has read does not.

local service = require "spec.contract.service"

local ok, post, json = service.ok, service.post, service.json

local CUTS, MESSAGES, ORDERLY = 10, 3, 12
local SIZES = { 2000, 100000, 900000 }
local CLOSE = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Connection"] = "close" }

-- A group with one instance, which has joined, and a topic with messages of that size.
local function rig(size, total)
  local topic, group = service.topic(1), service.name "group"
  service.join(group, "one", topic, service.EARLIEST)
  for number = 1, total do
    ok(post("/webhook?topic=" .. topic, ("%03d"):format(number) .. ("x"):rep(size)))
  end
  return { topic = topic, group = group, path = ("/consume/%s/one"):format(group) }
end

local function body_of(topic)
  return json { topic = topic, timeout = 300, max_messages = 1 }
end

local function request(group, headers)
  return service.client:build("POST", group.path, {
    headers = headers or service.EARLIEST, body = body_of(group.topic),
  })
end

-- Waits until the response arrives, and reads nothing of it.
local function start(group, headers)
  local connection = service.client:connect()
  connection:send(request(group, headers))
  assert.is_truthy(require "socket".select({ connection.socket }, nil, 60)[1])
  return connection
end

local function close(group) start(group):close() end

local function close_the_last(group) start(group, CLOSE):close() end

local function reset(group)
  local connection = start(group)
  assert(connection.socket:setoption("linger", { on = true, timeout = 0 }))
  connection:close()
end

-- A client that reads 100 bytes, and is killed.
local function kill(group)
  local script = os.tmpname()
  local file = assert(io.open(script, "wb"))
  file:write(request(group))
  file:close()
  local pipe = assert(io.popen(("bash -c 'exec 3<>/dev/tcp/%s/%d; cat %s >&3; head -c 100 <&3; kill -9 $$' 2>&1")
    :format(service.client.host, service.client.port, script)))
  assert.matches("^HTTP/1.1 ", pipe:read "*a")
  pipe:close()
  os.remove(script)
end

local function offsets_of(messages)
  local offsets = {}
  for index, message in ipairs(messages) do offsets[index] = message.offset end
  return offsets
end

-- The offsets of what comes until `total` messages have come, and nothing comes after.
local function rest(group, total, consume)
  local offsets = {}
  service.eventually(30, function()
    for _, offset in ipairs(offsets_of(consume(group))) do table.insert(offsets, offset) end
    return #offsets >= total, ("%d of %d messages"):format(#offsets, total)
  end)
  assert.same({}, offsets_of(consume(group)))
  return offsets
end

local function keep_alive(group)
  return ok(post(group.path, body_of(group.topic), { headers = service.EARLIEST }))
end

local function on_a_connection(group, headers, keep)
  local connection = service.client:connect()
  connection:send(request(group, headers))
  local response = connection:receive "POST"
  if keep then return ok(response), connection end
  connection:close()
  return ok(response)
end

-- The next request comes before the connection of the last one is closed.
local function overlapping()
  local last
  return function(group)
    local messages, connection = on_a_connection(group, service.EARLIEST, true)
    if last then last:close() end
    last = connection
    return messages
  end
end

local function http_1_0(group)
  local connection = service.client:connect()
  connection:send((request(group):gsub("HTTP/1%.1", "HTTP/1.0", 1)))
  local response = connection:receive "POST"
  assert.is_true(connection:ends())
  connection:close()
  return ok(response)
end

local function curl(group)
  local client = service.client
  local pipe = assert(io.popen(("curl -sS -H 'Authorization: %s' -H 'Kafka-Auto-Offset-Reset: earliest' " ..
    "-d '%s' http://%s:%d%s"):format(client.authorization, body_of(group.topic), client.host, client.port,
    group.path)))
  local body = pipe:read "*a"
  pipe:close()
  return require "cjson".decode(body)
end

local function count_of(offsets)
  local expected = {}
  for offset = 0, #offsets - 1 do table.insert(expected, offset) end
  return expected
end

describe("a response that was written:", function()
  service.attach()

  for name, cut in pairs {
    ["closes its connection"] = close,
    ["closes its last connection"] = close_the_last,
    ["resets its connection"] = reset,
    ["is killed"] = kill,
  } do
    for _, size in ipairs(SIZES) do
      it(("A11: a client that %s before it has read %d bytes gets them again"):format(name, size), function()
        local group = rig(size, MESSAGES)
        for _ = 1, CUTS do cut(group) end
        assert.same({ 0, 1, 2 }, rest(group, MESSAGES, keep_alive))
      end)
    end
  end

  it("A11: a client that loses every other response gets each message once", function()
    local group = rig(2000, ORDERLY)
    local offsets = rest(group, ORDERLY, function()
      close(group)
      return keep_alive(group)
    end)
    assert.same(count_of(offsets), offsets)
  end)

  it("A12: a commit and a deletion leave out what the client has not read", function()
    local group = rig(2000, MESSAGES)
    close(group)
    ok(post(("/commit/%s/one"):format(group.group), ""))
    assert.is_true(service.committed(group.group, group.topic) <= 0)
    close(group)
    ok(post(("/delete-consumer/%s/one"):format(group.group), ""))
    assert.is_true(service.committed(group.group, group.topic) <= 0)
    assert.same({ 0, 1, 2 }, rest(group, MESSAGES, keep_alive))
  end)

  for name, consume in pairs {
    ["keeps its connection"] = keep_alive,
    ["closes each connection"] = function(group) return on_a_connection(group, service.EARLIEST) end,
    ["asks for each connection to be closed"] = function(group) return on_a_connection(group, CLOSE) end,
    ["opens a connection before it closes the last one"] = overlapping(),
    ["speaks HTTP/1.0"] = http_1_0,
    ["is curl"] = curl,
  } do
    for _, size in ipairs { 200, 100000 } do
      it(("A11: a client that reads everything and %s gets %d bytes once"):format(name, size), function()
        local group = rig(size, ORDERLY)
        local offsets = rest(group, ORDERLY, consume)
        assert.same(count_of(offsets), offsets)
      end)
    end
  end

  it("A11: two clients of one instance that take turns get each message once", function()
    local group = rig(2000, ORDERLY)
    local connections = { service.client:connect(), service.client:connect() }
    local turn = 0
    local offsets = rest(group, ORDERLY, function()
      turn = turn % 2 + 1
      connections[turn]:send(request(group))
      return ok(connections[turn]:receive "POST")
    end)
    assert.same(count_of(offsets), offsets)
    for _, connection in ipairs(connections) do connection:close() end
  end)
end)
