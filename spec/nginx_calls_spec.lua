-- What the client does with the sockets, timers and phases of nginx, step by step. A fake replaces
-- nginx: its functions write to a trace, its sockets follow a script, and only sleeps and waits
-- move the clock. For a real nginx see nginx_transport_spec.lua, nginx_loop_spec.lua,
-- nginx_producer_spec.lua and nginx_phases_spec.lua.

local core = require "upstash.kafka.core"
local globals = require "_G" -- busted gives a spec file another _G

local VERSION = core._VERSION
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"t\":1}"
local EMPTY = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"

local trace, clock, phase, exiting, sockets, sent

local function note(...)
  trace[#trace + 1] = table.concat({ ... }, " ")
end

-- The next connection of the script: { refused = problem, reused = number, tls = session, problem =
-- of the handshake, send_problem =, takes = the piece that fails with it, slow = milliseconds for
-- each piece, answers = list }. An answer is bytes, or { problem, milliseconds, exit = whether the
-- worker is asked to exit meanwhile }.
local Socket = {}
Socket.__index = Socket

local function tcp()
  local socket = setmetatable(table.remove(sockets, 1) or error("the script has no more connections", 0), Socket)
  socket.at = 0
  return socket
end

function Socket:settimeouts(connect, write, read)
  assert(connect == write and write == read)
  self.time = connect
end

function Socket:connect(host, port, options)
  if type(port) == "table" then port, options = "-", port end
  note("connect", host, port, options.pool, self.time)
  if self.refused then return nil, self.refused end
  return 1
end

function Socket:getreusedtimes() return self.reused or 0 end

function Socket:sslhandshake(session, name, verify)
  note("handshake", tostring(session), name, tostring(verify))
  if self.problem then return nil, self.problem end
  return self.tls
end

function Socket:send(data)
  if type(data) == "table" then data = table.concat(data) end
  note("send", self.time)
  sent[#sent + 1] = data
  clock = clock + (self.slow or 0)
  if self.send_problem and #sent >= (self.takes or 1) then return nil, self.send_problem end
  return #data
end

function Socket:receiveany(most)
  assert.equal(65536, most)
  note("receive", self.time)
  self.at = self.at + 1
  local answer = self.answers and self.answers[self.at] or { "closed" }
  if type(answer) == "string" then return answer end
  clock = clock + (answer[2] or 0)
  if answer.exit then exiting = true end
  if answer[1]:find "^HTTP" then return answer[1] end
  return nil, answer[1]
end

function Socket.setkeepalive() note "keep" end
function Socket.close() note "close" end

local FAKE = {
  config = { subsystem = "http" }, get_phase = function() return phase end, socket = { tcp = tcp }, null = core.null,
  worker = { exiting = function() return exiting end, id = function() return 3 end },
  sleep = function(seconds)
    note(("sleep %g"):format(seconds * 1000))
    clock = clock + seconds * 1000
    if exiting == "soon" then exiting = true end
  end,
}

local TABLES = { "methods", "message_methods", "producer_methods" }

local saved = {}

-- Loads the client as nginx would. `replace` holds methods that replace core's first.
local function load(replace)
  saved = { now = core.now, ngx = rawget(globals, "ngx"), loaded = {} }
  for _, name in ipairs(TABLES) do
    saved[name] = {}
    for key, value in pairs(core[name]) do saved[name][key] = value end
    for key, value in pairs(replace and replace[name] or {}) do core[name][key] = value end
  end
  for name, module in pairs(package.loaded) do
    if name:find "^upstash%.kafka" and name ~= "upstash.kafka.core" then saved.loaded[name] = module end
  end
  for name in pairs(saved.loaded) do package.loaded[name] = nil end
  rawset(globals, "ngx", FAKE)
  function core.now() return clock end
  return require "upstash.kafka"
end

local function unload()
  rawset(globals, "ngx", saved.ngx)
  core.now = saved.now
  for name in pairs(package.loaded) do
    if name:find "^upstash%.kafka" and name ~= "upstash.kafka.core" then package.loaded[name] = nil end
  end
  for name, module in pairs(saved.loaded) do package.loaded[name] = module end
  for _, name in ipairs(TABLES) do
    for key in pairs(core[name]) do core[name][key] = nil end
    for key, value in pairs(saved[name]) do core[name][key] = value end
  end
end

local function begin()
  trace, clock, phase, exiting, sockets, sent = {}, 0, "content", false, {}, {}
end

describe("in a nginx, step by step,", function()
  local kafka

  before_each(function()
    begin()
    kafka = load()
  end)
  after_each(unload)

  local URL = "http://10.0.0.1:8080"
  local POOL = "upstash-kafka 10.0.0.1:8080 plain verified"

  local function client(more)
    local options = { url = URL, retries = 0, username = "u", password = "p" }
    for key, value in pairs(more or {}) do options[key] = value end
    return kafka.new(options)
  end

  local function connect(time) return ("connect 10.0.0.1 8080 %s %d"):format(POOL, time or 5000) end

  it("a call connects, sends, receives and keeps the connection", function()
    sockets = { { answers = { OK } } }
    assert.same({ t = 1 }, client():topics())
    assert.same({ connect(), "send 30000", "receive 30000", "keep" }, trace)
    local head = sent[1]
    for name, value in pairs(client():prepare("topics").headers) do
      assert.truthy(head:find("\r\n" .. name .. ": " .. value .. "\r\n", 1, true), head)
    end
    assert.equal(("GET /topics HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: upstash-kafka/%s\r\n"):format(VERSION),
      head:match "^[^\n]*\n[^\n]*\n[^\n]*\n")
    assert.equal("\r\n\r\n", head:sub(-4))
    assert.is_nil(head:lower():find("content-length", 1, true))
  end)

  it("a unix socket is connected to by its path alone, without TLS", function()
    sockets = { { answers = { OK } } }
    assert.same({ t = 1 }, client({ url = "http://unix:/run/kafka:/api" }):topics())
    assert.same({ "connect unix:/run/kafka - upstash-kafka /run/kafka plain verified 5000", "send 30000",
      "receive 30000", "keep" }, trace)
    assert.truthy(sent[1]:find("^GET /api/topics HTTP/1.1\r\nHost: localhost\r\n"), sent[1])
  end)

  it("a POST has a Content-Length, also without a body", function()
    sockets = { { answers = { 'HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n{"result":"Success","status":200}' } },
      { answers = { EMPTY } } }
    local one = client()
    assert.is_true(one:commit("g", "i"))
    assert.truthy(sent[1]:find("\r\nContent-Length: 0\r\n", 1, true), sent[1])
    local request = one:prepare("fetch", "t", 0, 0)
    local body = request.body
    assert.same({}, one:fetch("t", 0, 0))
    for name, value in pairs(request.headers) do
      assert.truthy(sent[2]:find("\r\n" .. name .. ": " .. value .. "\r\n", 1, true), sent[2])
    end
    assert.truthy(sent[2]:find("\r\nContent-Length: " .. #body .. "\r\n", 1, true), sent[2])
    assert.equal("\r\n\r\n" .. body, sent[2]:sub(-4 - #body))
  end)

  it("a body of 256 KiB goes out with the head, a longer one in pieces", function()
    for extra = 0, 1 do
      begin()
      sockets = { { answers = { EMPTY } } }
      local one = client()
      one:webhook("t", ("x"):rep(262144 + extra))
      local sizes = {}
      for index, data in ipairs(sent) do sizes[index] = #data end
      local head = #sent[1]:match "^.-\r\n\r\n"
      assert.same(extra == 0 and { head + 262144 } or { head, 262144, 1 }, sizes)
    end
  end)

  it("no part outlasts the time left to the call, nor does connecting outlast its own", function()
    sockets = { { answers = { { "timeout", 200 }, { "timeout", 99 }, OK } } }
    assert.same({ t = 1 }, client({ timeout = 300, connect_timeout = 250 }):topics())
    assert.same({ connect(250), "send 300", "receive 300", "receive 100", "receive 1", "keep" }, trace)
    begin()
    sockets = { { answers = { { "timeout", 300 } } } }
    local _, _, details = client({ timeout = 300, connect_timeout = 400 }):topics()
    assert.equal("timeout", details.code)
    assert.same({ connect(300), "send 300", "receive 300", "close" }, trace)
    begin()
    sockets = { { answers = { EMPTY } } }
    assert.same({}, client({ timeout = 300 }):consume("g", "i", "t", { timeout = 1000 }))
    assert.same({ connect(1300), "send 1300", "receive 1300", "keep" }, trace)
  end)

  it("the pieces of a body share the time of the call, and none follows a failed one", function()
    local body = ("x"):rep(262144 * 2 + 1)
    sockets = { { slow = 100, answers = { EMPTY } } }
    client({ timeout = 1000 }):webhook("t", body)
    assert.same({ connect(1000), "send 1000", "send 900", "send 800", "send 700", "receive 600", "keep" }, trace)
    for problem, last in pairs { closed = "receive 1000", timeout = "send 1000" } do
      begin()
      sockets = { { send_problem = problem, takes = 2 } }
      client({ timeout = 1000 }):webhook("t", body)
      assert.same({ last, "close" }, { trace[#trace - 1], trace[#trace] })
      assert.equal(2, #sent)
    end
  end)

  it("a connection is closed if the response says so or is incomplete", function()
    for _, answers in ipairs { { "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{\"t\":1}" },
      { OK .. "more" }, { OK:sub(1, -2) }, { "SSH\r\n" }, { { "connection reset by peer" } } } do
      begin()
      sockets = { { answers = answers } }
      client():topics()
      assert.equal("close", trace[#trace])
    end
  end)

  it("a response may come before the whole body is sent; the connection is then closed", function()
    sockets = { { send_problem = "closed", answers = { "HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\n{}" } },
      { send_problem = "timeout", answers = { OK } } }
    local _, _, details = client():produce("t", "v")
    assert.same({ "too_large", 413 }, { details.code, details.status })
    assert.same({ connect(), "send 30000", "receive 30000", "close" }, trace)
    _, _, details = client():produce("t", "v")
    assert.equal("timeout", details.code)
    assert.equal("close", trace[#trace])
    assert.equal("send 30000", trace[#trace - 1])
  end)

  it("a request goes to the next connection if one from the pool is dead, at most five times", function()
    local function dead() return { reused = 1, answers = { { "closed" } } } end
    local options = { retries = 1, retry_delay = 0 }
    local function sleeps()
      return select(2, table.concat(trace, "\n"):gsub("sleep", ""))
    end
    sockets = { dead(), dead(), dead(), dead(), { reused = 1, answers = { OK } } }
    assert.same({ t = 1 }, client(options):topics())
    assert.equal(0, sleeps())
    sockets = { dead(), dead(), dead(), dead(), dead(), { answers = { OK } } }
    assert.same({ t = 1 }, client(options):topics())
    assert.equal(1, sleeps()) -- after the fifth it is a retry
    for _, row in ipairs { { answers = { { "closed" } } }, { reused = 1, answers = { "HTTP" } } } do
      begin()
      sockets = { row, { answers = { OK } } }
      assert.same({ t = 1 }, client(options):topics())
      assert.equal(1, sleeps())
    end
    for _, row in ipairs { { "produce", options }, { "consume", options }, { "topics", { retries = 0 } } } do
      sockets = { dead(), { answers = { OK } } }
      local one = client(row[2])
      local _, message, details = one[row[1]](one, "t", "v", row[1] == "consume" and "t" or nil)
      assert.same({ row[1], "connection_lost", 1 }, { row[1], details.code, #sockets })
      assert.equal("the connection broke before the answer was complete", message)
    end
  end)

  it("each address of a name is tried in turn", function()
    sockets = { { refused = "connection refused" }, { answers = { OK } } }
    assert.same({ t = 1 }, client({ url = "http://localhost:81" }):topics())
    assert.truthy(trace[1]:find "^connect 127%.0%.0%.1 81 upstash%-kafka localhost:81 plain verified ")
    assert.truthy(trace[2]:find "^connect %[::1%] 81 ")
    sockets = { { refused = "connection refused" }, { refused = "no route" } }
    local _, message, details = client({ url = "http://localhost:81" }):topics()
    assert.same({ "connect_failed", "could not connect to localhost:81: no route" }, { details.code, message })
    sockets = { { refused = 'no resolver defined to resolve "x.example"' } }
    _, message, details = client({ url = "http://x.example" }):topics()
    assert.same({ "resolve_failed", 'no resolver defined to resolve "x.example": set nginx\'s resolver directive, or '
      .. "put the name into /etc/hosts" }, { details.code, message })
    sockets = { { refused = "x could not be resolved (3: Host not found)" } }
    _, message, details = client({ url = "http://x.example" }):topics()
    assert.same({ "resolve_failed", "x could not be resolved (3: Host not found)" }, { details.code, message })
  end)

  describe("TLS", function()
    local function secure(more)
      local options = { url = "https://kafka.example" }
      for key, value in pairs(more or {}) do options[key] = value end
      return client(options)
    end
    local CONNECT = "connect kafka.example 443 upstash-kafka kafka.example:443 tls %s 5000"

    it("performs a handshake on a new connection, with the session of the last one", function()
      local one = secure()
      sockets = { { tls = "first", answers = { OK } }, { tls = true, answers = { OK } },
        { reused = 1, answers = { OK } }, { tls = "second", answers = { OK } } }
      for _ = 1, 4 do assert.same({ t = 1 }, one:topics()) end
      local seen = {}
      for _, line in ipairs(trace) do
        if line:find "^handshake" then seen[#seen + 1] = line end
      end
      assert.same({ "handshake nil kafka.example true", "handshake first kafka.example true",
        "handshake first kafka.example true" }, seen)
      assert.equal(CONNECT:format "verified", trace[1])
    end)

    it("discards the session after a failed handshake, and closes", function()
      local one = secure()
      sockets = { { tls = "first", answers = { OK } }, { problem = "timeout" }, { tls = "second", answers = { OK } } }
      one:topics()
      local _, message, details = one:topics()
      assert.same({ "connect_failed", "TLS handshake with kafka.example:443 failed: timeout" },
        { details.code, message })
      assert.equal("close", trace[#trace])
      one:topics()
      assert.truthy(table.concat(trace, "\n"):find("close\n" .. CONNECT:format "verified"
        .. "\nhandshake nil kafka.example true", 1, true))
    end)

    it("is verified unless disabled, by the name without brackets", function()
      sockets = { { tls = "s", answers = { OK } }, { tls = "s", answers = { OK } } }
      secure({ verify = false }):topics()
      assert.same({ CONNECT:format "unverified", "handshake nil kafka.example false" }, { trace[1], trace[2] })
      begin()
      sockets = { { tls = "s", answers = { OK } } }
      secure({ url = "https://[::1]:444" }):topics()
      assert.equal("handshake nil ::1 true", trace[2])
    end)

    for problem, hint in pairs {
      ["18: self signed certificate"] = ": add its issuer to nginx's lua_ssl_trusted_certificate",
      ["18: self-signed certificate"] = ": add its issuer to nginx's lua_ssl_trusted_certificate",
      ["20: unable to get local issuer certificate"] = ": add its issuer to nginx's lua_ssl_trusted_certificate",
      ["certificate chain too long"] = ": raise nginx's lua_ssl_verify_depth",
      ["certificate host mismatch"] = "", ["handshake failed"] = "",
    } do
      it("says what to set after: " .. problem, function()
        sockets = { { problem = problem } }
        local _, message, details = secure():topics()
        assert.same({ "tls_failed", "TLS handshake with kafka.example:443 failed: " .. problem .. hint, false },
          { details.code, message, details.retriable })
      end)
    end

    it("says that nginx compares names if the URL has an address", function()
      for _, host in ipairs { "10.0.0.1", "[::1]" } do
        sockets = { { problem = "certificate host mismatch" } }
        local _, message = secure({ url = "https://" .. host }):topics()
        assert.equal("TLS handshake with " .. host .. ":443 failed: certificate host mismatch: nginx verifies host "
          .. "names, not addresses", message)
      end
    end)

    it("refuses a ca_file, which plain HTTP ignores", function()
      local one = secure { ca_file = "/none" }
      assert.is_false(pcall(one.topics, one))
      assert.same({}, trace)
      sockets = { { answers = { OK } } }
      assert.same({ t = 1 }, client({ ca_file = "/none" }):topics())
    end)
  end)

  it("C9: a proxy is refused, and no request is sent; a server on this machine needs none", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local fine, text = pcall(function() local _ = client({ proxy = "http://10.0.0.2:1" }):topics() end)
    assert.is_false(fine)
    assert.truthy(text:find(("nginx_calls_spec.lua:%d: client:topics: nginx's sockets know no proxy: remove the option "
      .. "proxy"):format(line), 1, true), text)
    assert.same({}, trace)
    sockets = { { answers = { OK } }, { answers = { OK } } }
    assert.same({ t = 1 }, client({ url = "http://127.0.0.1:8080", proxy = "http://10.0.0.2:1" }):topics())
    assert.same({ t = 1 }, client({ proxy = "" }):topics())
  end)

  describe("a retry", function()
    local function answer(status) return "HTTP/1.1 " .. status .. " X\r\nContent-Length: 2\r\n\r\n{}" end

    before_each(function()
      saved.delay = core.retry_delay
      function core.retry_delay(attempt, details, policy)
        if details.code ~= "connection_lost" then
          note("delay", attempt, details.code, policy.method, policy.retries, policy.retry_delay,
            policy.retry_delay_max)
        end
        return saved.delay(attempt, details, policy) and 100
      end
    end)
    after_each(function() core.retry_delay = saved.delay end)

    local function steps()
      local list = {}
      for _, line in ipairs(trace) do
        local word = line:match "^%S+"
        if word ~= "send" and word ~= "receive" and word ~= "keep" then list[#list + 1] = line:match "^%S+ ?%S*" end
      end
      return list
    end

    it("waits as its policy says, by timers of nginx", function()
      sockets = { { answers = { answer(503) } }, { answers = { answer(429) } }, { answers = { OK } } }
      assert.same({ t = 1 }, client({ retries = 7, retry_delay = 8, retry_delay_max = 9 }):topics())
      assert.same({ "connect 10.0.0.1", "delay 1", "sleep 100", "connect 10.0.0.1", "delay 2", "sleep 100",
        "connect 10.0.0.1" }, steps())
      local text = table.concat(trace, "\n")
      assert.truthy(text:find("delay 1 unavailable topics 7 8 9", 1, true), text)
      assert.truthy(text:find("delay 2 too_many topics 7 8 9", 1, true), text)
    end)

    it("does not wait if the call's time ends first, or at the same moment", function()
      for timeout, made in pairs { [100] = 1, [101] = 2 } do
        begin()
        sockets = { { answers = { answer(503) } }, { answers = { OK } } }
        client({ retries = 3, timeout = timeout }):topics()
        assert.equal(made, 2 - #sockets)
      end
    end)

    it("does not follow a permanent failure", function()
      sockets = { { answers = { answer(401) } } }
      local _, _, details = client({ retries = 3 }):topics()
      assert.equal("unauthorized", details.code)
    end)
  end)

  it("closing the client aborts a pending call", function()
    local one = client { retries = 3 }
    sockets = { {} }
    local receive = Socket.receiveany
    function Socket.receiveany()
      one:close()
      return OK
    end
    local _, message, details = one:topics()
    Socket.receiveany = receive
    assert.same({ "cancelled", message }, { details.code, details.error })
  end)

  it("misuse blames the caller's line, and sends no request", function()
    local one, secure = client(), client { url = "https://kafka.example", ca_file = "/none" }
    for text, call in pairs {
      ["calling 'topics' on nil: write client:topics{…}"] = function() local _ = one.topics() end,
      ["bad argument #1 to 'produce' (topic: string expected, got nil)"] = function() local _ = one:produce() end,
      ["client:topics: nginx's sockets do not support ca_file: remove it and set lua_ssl_trusted_certificate"]
        = function() local _ = secure:topics() end,
    } do
      local fine, problem = pcall(call)
      assert.is_false(fine)
      assert.equal(("nginx_calls_spec.lua:%d: %s"):format(debug.getinfo(call, "S").linedefined, text),
        (problem:gsub("^.*/nginx_calls", "nginx_calls")))
    end
    assert.same({}, trace)
  end)

  it("what cannot be sent is refused, and no request is sent", function()
    local result, message, details = client():produce("t", "\255")
    assert.is_nil(result)
    assert.same({ "bad_request", message }, { details.code, details.error })
    assert.same({}, trace)
  end)

  it("a malformed URL is reported by the call", function()
    local _, message, details = client({ url = "http://[::1" }):topics()
    assert.equal("the URL is malformed: http://[::1", message)
    assert.same({ error = message, code = "transport_failed", retriable = false }, details)
  end)

  describe("a call for a loop", function()
    local function loop(more)
      local options = { group = "g", instance = "i", topic = "t", from = "earliest", idle = 60000 }
      for key, value in pairs(more or {}) do options[key] = value end
      return client({ timeout = 10000 }):messages(options)
    end

    local DELETED = 'HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n{"result":"Success","status":200}'

    it("checks often whether the worker ends, and polls for at most half a second", function()
      sockets = { { answers = { DELETED } }, { answers = { { "timeout", 1000 }, { "timeout", 500, exit = true } } } }
      local step, state = loop { timeout = 30000 }
      assert.is_nil(step(state))
      assert.same({ connect(2000), "send 10000", "receive 500", "keep", connect(2000), "send 10500", "receive 1000",
        "receive 500", "close" }, trace)
      assert.truthy(sent[2]:find('"timeout":500', 1, true) or sent[2]:find("timeout=500", 1, true), sent[2])
    end)

    it("ends before it sends a request if the worker is already ending", function()
      exiting = true
      local step, state = loop()
      assert.is_nil(step(state))
      assert.same({}, trace)
    end)

    it("gets half a second to connect when the worker ends, for its commit only", function()
      local message = '[{"topic":"t","partition":0,"offset":4,"timestamp":1,"key":"","value":"v","headers":[]}]'
      sockets = { { answers = { DELETED } },
        { answers = { ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#message, message) } },
        { refused = "timeout" } }
      local step, state = loop()
      assert.equal(4, step(state).offset)
      exiting = true
      assert.is_nil(step(state))
      assert.equal(connect(500), trace[#trace])
      assert.equal(0, #sockets) -- no deletion after a commit that failed
    end)

    local MESSAGES = '[{"topic":"t","partition":0,"offset":4,"timestamp":1,"key":"","value":"v","headers":[]},'
      .. '{"topic":"t","partition":0,"offset":5,"timestamp":1,"key":"","value":"v","headers":[]}]'

    it("stops handing out a batch when the worker ends, and commits finished messages", function()
      sockets = { { answers = { DELETED } },
        { answers = { ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#MESSAGES, MESSAGES) } },
        { answers = { DELETED } }, { answers = { DELETED } } }
      local step, state = loop()
      assert.equal(4, step(state).offset)
      exiting = true
      assert.is_nil(step(state))
      local paths = {}
      for index, text in ipairs(sent) do paths[index] = text:match "^POST /([%a-]+)" end
      assert.same({ "delete-consumer", "consume", "commit", "delete-consumer" }, paths)
      assert.truthy(sent[3]:find('"offset":5', 1, true), sent[3])
    end)

    it("stops polling once the worker ends", function()
      sockets = { { answers = { DELETED } }, { answers = { { EMPTY, 0, exit = true } } }, { answers = { DELETED } } }
      local step, state = loop()
      assert.is_nil(step(state))
      assert.same({ 3, 0 }, { #sent, #sockets })
    end)

    it("waits in slices while the server is down, and ends with the worker", function()
      sockets = { { refused = "connection refused" } }
      local delay = core.retry_delay
      function core.retry_delay() return 600 end
      local step, state = loop()
      exiting = false
      local sleep = FAKE.sleep
      function FAKE.sleep(seconds)
        sleep(seconds)
        if #trace == 3 then exiting = true end
      end
      assert.is_nil(step(state))
      FAKE.sleep, core.retry_delay = sleep, delay
      assert.same({ connect(2000), "sleep 250", "sleep 250" }, trace)
    end)

    it("waits its whole delay if the worker stays", function()
      sockets = { { refused = "connection refused" }, { answers = { DELETED } },
        { answers = { { "timeout", 99999 } } } }
      local delay = core.retry_delay
      function core.retry_delay() return 600 end
      local step, state = loop { idle = 700 }
      pcall(step, state)
      core.retry_delay = delay
      assert.same({ connect(2000), "sleep 250", "sleep 250", "sleep 100", connect(2000) },
        { trace[1], trace[2], trace[3], trace[4], trace[5] })
    end)

    it("D1: refuses to watch signals, and blames the caller's line", function()
      local one = client()
      for method, options in pairs { messages = { group = "g", instance = "i", topic = "t", stop_on_signal = true },
        batches = { group = "g", instance = "i", topic = "t", stop_on_signal = { "TERM" } },
        records = { topic = "t", partition = 0, stop_on_signal = true } } do
        local line = debug.getinfo(1, "l").currentline + 1
        local fine, text = pcall(function() local _ = one[method](one, options) end)
        assert.is_false(fine)
        assert.truthy(text:find(("nginx_calls_spec.lua:%d: bad argument #1 to '%s' (stop_on_signal: nginx takes the "
          .. "signals; a loop ends with its worker, or by loop:stop())"):format(line, method), 1, true), text)
        options.stop_on_signal = false
        assert.is_function((one[method](one, options)))
      end
      assert.same({}, trace)
    end)

    it("accepts the worker's number in an instance's name", function()
      sockets = { { answers = { DELETED } }, { refused = "no" } }
      local step, state = loop { instance = "w-%w", idle = 0 }
      pcall(step, state)
      assert.truthy(sent[1]:find("^POST /delete%-consumer/g/w%-3 ") or sent[1]:find "/g/w%-3 ", sent[1])
    end)
  end)

  describe("a phase", function()
    local WAITS = { "rewrite", "access", "content", "timer", "ssl_cert", "ssl_session_fetch", "preread",
      "server_rewrite", "one of a later version" }
    local ADVICE = {
      init = "make the call in a timer that init_worker_by_lua starts",
      exit_worker = "make the call before the worker ends",
    }

    for _, name in ipairs(WAITS) do
      it("waits: " .. name, function()
        phase, sockets = name, { { answers = { OK } } }
        assert.same({ t = 1 }, client():topics())
      end)
    end

    for _, name in ipairs { "init", "init_worker", "exit_worker", "set", "header_filter", "body_filter", "log",
      "balancer", "ssl_session_store" } do
      it("cannot wait: " .. name, function()
        local one = client()
        phase = name
        for method, advice in pairs { topics = "make the call in ngx.timer.at",
          produce = "send it with a client:producer, or make the call in ngx.timer.at",
          produce_many = "send it with a client:producer, or make the call in ngx.timer.at",
          webhook = "send it with a client:producer, or make the call in ngx.timer.at" } do
          local line = debug.getinfo(1, "l").currentline + 2
          local fine, text = pcall(function()
            local _ = one[method](one, "t", "v")
          end)
          assert.is_false(fine)
          assert.equal(("nginx_calls_spec.lua:%d: client:%s cannot wait for an answer in %s_by_lua: %s"):format(line,
            method, name, ADVICE[name] or advice), (text:gsub("^.*/", "")))
        end
        assert.same({}, trace)
      end)
    end
  end)

  it("explains that nginx hides the environment if the URL is missing", function()
    local getenv = os.getenv
    rawset(os, "getenv", function() return nil end)
    local _, made = pcall(kafka.new)
    local _, called = pcall(kafka.topics)
    rawset(os, "getenv", getenv)
    for _, text in ipairs { made, called } do
      assert.truthy(text:find("without an env directive", 1, true), text)
    end
  end)
end)

describe("in a nginx, step by step, a producer", function()
  local kafka, due, open

  local PRODUCER = {}

  before_each(function()
    begin()
    due, open = 0, true
    kafka = load {
      methods = { producer = function(_, given)
        if given and given.overflow == "refused" then error("refused", 0) end
        note("producer", given and tostring(given.flush_timeout))
        return PRODUCER
      end },
      producer_methods = {
        hurry = function()
          if not open then error("producer is closed", 0) end
          note "hurry"
          return 9
        end,
        settled = function(_, mark)
          assert.equal(9, mark)
          return clock >= due
        end,
        flush = function(_, timeout, waited)
          if not waited or timeout ~= 0 then note("flush", tostring(timeout)) end
          if clock >= due then return true end
          return nil, ("not delivered within %d ms"):format(waited or timeout)
        end,
        close = function(_, timeout, waited)
          note("close", tostring(timeout))
          if clock >= due then return true end
          return nil, ("not delivered within %d ms"):format(waited or timeout)
        end,
      },
    }
  end)
  after_each(unload)

  local function producer(options, given)
    local all = { url = "http://10.0.0.1" }
    for key, value in pairs(options or {}) do all[key] = value end
    local made = kafka.new(all):producer(given)
    trace = {}
    return made, core.producer_methods
  end

  it("waits in steps that grow to 20 ms, and not past its deadline", function()
    local one, methods = producer()
    due = 100
    assert.is_true(methods.flush(one, 100))
    assert.same({ "hurry", "sleep 1", "sleep 2", "sleep 4", "sleep 8", "sleep 16", "sleep 20", "sleep 20", "sleep 20",
      "sleep 9" }, trace)
    begin()
    due = 3
    assert.is_true(methods.close(one, 50))
    assert.same({ "hurry", "sleep 1", "sleep 2", "close 0" }, trace)
  end)

  it("says how many messages were not delivered in time", function()
    local one, methods = producer()
    due = 5000
    methods.flush(one, 10)
    assert.same({ "hurry", "sleep 1", "sleep 2", "sleep 4", "sleep 3" }, trace)
    assert.same({ nil, "not delivered within 10 ms" }, { methods.flush(one, 10) })
    assert.same({ nil, "not delivered within 10 ms" }, { methods.close(one, 10) })
  end)

  it("gets its timeouts from the client and its options", function()
    for _, row in ipairs { { {}, nil, 30000, 2000 }, { { timeout = 40 }, { flush_timeout = 50 }, 40, 50 },
      { {}, { flush_timeout = core.null }, 30000, 2000 }, { {}, { flush_timeout = 0 }, 30000, 0 } } do
      local one, methods = producer(row[1], row[2])
      due = math.huge
      local _, flushed = methods.flush(one)
      local _, closed = methods.close(one)
      assert.truthy(flushed:find("within " .. row[3] .. " ms", 1, true), flushed)
      assert.truthy(closed:find("within " .. row[4] .. " ms", 1, true), closed)
      begin()
    end
  end)

  it("accepts timeouts from 0 to a day", function()
    local one, methods = producer()
    for _, method in ipairs { "flush", "close" } do
      for _, time in ipairs { 0, 86400000 } do assert.is_true(methods[method](one, time)) end
      for _, wrong in ipairs { -1, 86400001, 0.5, "1" } do
        local line = debug.getinfo(1, "l").currentline + 2
        local fine, text = pcall(function()
          local _ = methods[method](one, wrong)
        end)
        assert.is_false(fine)
        assert.equal(("nginx_calls_spec.lua:%d: bad argument #1 to '%s' (timeout: integer from 0 to 86400000 expected, "
          .. "got %s)"):format(line, method, tostring(wrong)), (text:gsub("^.*/", "")))
      end
    end
  end)

  it("blocks if nothing else runs, and raises if it may neither block nor wait", function()
    local one, methods = producer()
    for _, name in ipairs { "init", "init_worker", "exit_worker" } do
      phase, trace = name, {}
      assert.is_true(methods.flush(one, 5))
      assert.is_true(methods.close(one))
      assert.same({ "flush 5", "close nil" }, trace)
    end
    for _, name in ipairs { "set", "header_filter", "body_filter", "log", "balancer", "ssl_session_store" } do
      phase, trace = name, {}
      for _, method in ipairs { "flush", "close" } do
        local fine, text = pcall(methods[method], one)
        assert.is_false(fine)
        assert.truthy(text:find(("producer:%s cannot wait in %s_by_lua: "):format(method, name), 1, true), text)
      end
      assert.same({}, trace)
    end
  end)

  it("can be closed twice, but not flushed after closing", function()
    local one, methods = producer()
    open = false
    assert.is_true(methods.close(one))
    assert.same({ "close 0" }, trace)
    local line = debug.getinfo(1, "l").currentline + 1
    local fine, text = pcall(function() local _ = methods.flush(one) end)
    assert.is_false(fine)
    assert.equal(("nginx_calls_spec.lua:%d: producer is closed"):format(line), (text:gsub("^.*/", "")))
  end)

  it("misuse blames the caller's line", function()
    local maker = kafka.new { url = "http://10.0.0.1" }
    local one, methods = producer()
    phase = "log"
    for text, call in pairs {
      ["calling 'producer' on nil: write client:producer{…}"] = function() local _ = maker.producer() end,
      ["bad argument #1 to 'producer' (overflow: 'block' would block nginx, 'error' or 'drop_oldest' expected)"]
        = function() local _ = maker:producer { overflow = "block" } end,
      ["refused"] = function() local _ = maker:producer { overflow = "refused" } end,
      ["producer:close cannot wait in log_by_lua: "] = function() local _ = methods.close(one) end,
    } do
      local fine, problem = pcall(call)
      assert.is_false(fine)
      local whole = ("nginx_calls_spec.lua:%d: %s"):format(debug.getinfo(call, "S").linedefined, text)
      assert.truthy(problem:find(whole, 1, true), problem)
    end
  end)

  it("does not block when its queue is full", function()
    local one = kafka.new { url = "http://10.0.0.1" }
    local fine, text = pcall(one.producer, one, { overflow = "block" })
    assert.is_false(fine)
    assert.truthy(text:find("overflow: 'block'", 1, true), text)
    assert.is_table(one:producer { overflow = "error" })
  end)
end)
