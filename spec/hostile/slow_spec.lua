-- for: http_handshake.c
--
-- Clients that are slow, or silent, keep no place: over plain HTTP, and over TLS.
--
-- The limits are those of a server in a hurry. No test judges how long something takes: each waits
-- until the server has ended the connection, and a client that means well tries again.

local certificates = require "spec.support.certificates"
local folder = require "spec.support.folder"
local http = require "spec.support.http"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

local PLACES = 20
local LIMITS = { max_connections = PLACES, tls_timeout = 1, head_timeout = 1, idle_timeout = 2, min_rate = 1000,
  rate_period = 1 }
local LATE = '{"error":"the request did not arrive in time","status":408}'

local function limits(more)
  local all = {}
  for name, value in pairs(LIMITS) do all[name] = value end
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

-- An address of a server without its scheme: LuaSocket speaks no TLS.
local function connect(server)
  local host, port = server.url:match "^https?://([^:]+):(%d+)"
  return http.connect(host, tonumber(port))
end

describe("over plain HTTP,", function()
  local server, client

  -- A response, whatever a busy machine made too late.
  local function ask(method, path, body)
    local answered, response
    repeat
      client:close()
      answered, response = pcall(client.request, client, method, path, { body = body })
    until answered and response.status ~= 408 and response.status ~= 429
    return response
  end

  setup(function()
    server = support.start(limits())
    client = http.client(server.url, server.username, server.password)
  end)

  teardown(function() server:stop() end)

  it("E1: a connection that sends nothing ends", function()
    assert.is_true(connect(server):ends())
  end)

  for what, bytes in pairs {
    ["a part of its request line"] = "GET /top",
    ["a part of its headers"] = "GET /topics HTTP/1.1\r\nHost: x\r\nAuth",
  } do
    it("E1: a connection that sends " .. what .. " gets a 408, and ends", function()
      local connection = connect(server)
      connection:send(bytes)
      local response = connection:receive "GET"
      assert.same({ 408, LATE, "close" }, { response.status, response.body, response.headers.connection })
      assert.is_true(connection:ends())
    end)
  end

  it("E1: a byte now and then is too slow for a head", function()
    local connection = connect(server)
    local request = client:build("GET", "/topics", { headers = { ["X-Long"] = ("x"):rep(4000) } })
    for index = 1, #request do
      if not connection:send(request:sub(index, index)) or connection:take() then break end
      http.sleep(0.05)
    end
    assert.equal(408, connection:receive("GET").status)
    assert.is_true(connection:ends())
  end)

  it("E1: a body below the minimum rate gets a 408, and nothing of it is stored", function()
    local topic = server:topic(1, 0)
    local connection = connect(server)
    local request = client:build("POST", "/produce/" .. topic, { body = '{"value":"' .. ("x"):rep(3000) .. '"}' })
    connection:send(request:sub(1, -2900))
    local response = connection:receive "POST"
    assert.same({ 408, LATE }, { response.status, response.body })
    assert.is_true(connection:ends())
    assert.same("[]", ask("POST", "/fetch", ('{"topic":"%s","partition":0,"offset":0,"timeout":0}'):format(topic))
      .body)
  end)

  it("E1: a client that does not read its response is cut off", function()
    local topic = server:topic(1, 0)
    for _ = 1, 8 do
      assert.equal(200, ask("POST", "/produce/" .. topic, '{"value":"' .. ("x"):rep(1000000) .. '"}').status)
    end
    local connection = connect(server)
    connection:send(client:build("POST", "/fetch?max_bytes=67108864", { body =
      ('{"topic":"%s","partition":0,"offset":0}'):format(topic) }))
    shell.eventually(60, function() -- until the server has reset the connection
      http.sleep(0.1)
      return not connection.socket:send "x"
    end)
    connection:close()
  end)

  it("E1: an idle connection ends without a word", function()
    local connection = connect(server)
    local response
    repeat -- a busy machine may be late itself
      connection:close()
      connection = connect(server)
      connection:send(client:build("GET", "/topics"))
      response = connection:receive "GET"
    until response.status ~= 408
    assert.equal(200, response.status)
    assert.is_true(connection:ends())
  end)

  it("E1: a request that waits for messages is not slow", function()
    local topic = server:topic(1, 0)
    local response = ask("POST", "/fetch", ('{"topic":"%s","partition":0,"offset":0,"timeout":4000}'):format(topic))
    assert.same({ 200, "[]" }, { response.status, response.body })
  end)

  it("E2: when all places are taken, silent connections give way", function()
    local silent, seen = {}, {}
    for index = 1, 3 * PLACES do
      silent[index] = connect(server)
      silent[index]:send "GET /"
    end
    assert.equal(200, ask("GET", "/topics").status)
    for _, connection in ipairs(silent) do
      -- One that the server has not begun to read ends without a word.
      local answered, response = pcall(connection.receive, connection, "GET")
      assert.is_true(answered or connection.closed, response)
      if answered then seen[response.status] = response.body end
      assert.is_true(connection.closed or connection:ends())
    end
    local full = '{"error":"the limit of 20 open connections is reached","status":429}'
    assert.is_true(seen[429] == full or seen[429] == nil)
    assert.is_true(seen[408] == LATE or seen[408] == nil)
    assert.is_true(seen[429] ~= nil or seen[408] ~= nil)
  end)
end)

describe("over TLS,", function()
  local place, server, cert

  setup(function()
    place = folder.make()
    local key
    cert, key = certificates.self_signed(place, "here", "IP:127.0.0.1")
    server = support.start(limits { tls_cert = cert, tls_key = key })
  end)

  teardown(function()
    server:stop()
    folder.remove(place)
  end)

  -- Sends bytes after a handshake, waits until the server has ended the connection.
  local function is_ended_after(bytes)
    local script = [[
      mkfifo "$1/fifo" && exec 3<>"$1/fifo" && rm "$1/fifo" && printf "$2" >&3 &&
      timeout 60 openssl s_client -quiet -connect "$3" <&3 >"$1/output" 2>"$1/errors"
      echo $?]]
    local status, out = shell.run(("sh -c %s sh %s"):format(shell.quote(script),
      shell.words { place, bytes, server.url:match "//([^/]+)" }))
    assert.equal(0, status)
    return out ~= "124\n" and out or nil
  end

  it("E1: connections that send nothing leave their places", function()
    local silent, client = {}, server:client { ca_file = cert }
    for index = 1, PLACES + 5 do silent[index] = connect(server) end
    assert.is_table(client:topics())
    for _, connection in ipairs(silent) do assert.is_true(connection:ends()) end
    for index = 1, PLACES do silent[index] = connect(server) end
    assert.is_table(client:topics())
    for index = 1, PLACES do assert.is_true(silent[index]:ends()) end
    client:close()
  end)

  it("E1: a part of a handshake is no handshake", function()
    local connection = connect(server)
    connection:send "\22\3\1\1\0\1\0\0\252\3\3" -- a record of 256 bytes begins, with a ClientHello
    assert.is_true(connection:ends())
  end)

  for what, bytes in pairs {
    nothing = "",
    ["a part of a head"] = "GET /topics HTTP/1.1\\r\\nHost: x\\r\\n",
    ["a part of a body"] = "POST /produce/t HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 900\\r\\n\\r\\n{",
  } do
    it("E1: a connection that sends " .. what .. " after its handshake ends", function()
      assert.is_truthy(is_ended_after(bytes))
    end)
  end
end)
