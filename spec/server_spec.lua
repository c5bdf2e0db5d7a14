-- for: server_module.c, server_properties.c, server_system.c. Servers that a Lua program starts.

local folder = require "spec.support.folder"
local lfs = require "lfs"
local shell = require "spec.support.shell"

local names_before = {}
for name in pairs(_G) do names_before[name] = true end
package.loaded["upstash.kafka.server"] = nil
local server = require "upstash.kafka.server"

local function count_threads()
  local count = 0
  for name in lfs.dir "/proc/self/task" do
    if name:match "^%d+$" then count = count + 1 end
  end
  return count
end

-- The kernel may list a joined thread for a moment longer.
local function settled_threads(expected)
  for _ = 1, 200 do
    if count_threads() == expected then break end
    os.execute "sleep 0.01"
  end
  return count_threads()
end

describe("upstash.kafka.server", function()
  local data, threads

  before_each(function()
    collectgarbage()
    data = folder.name()
    threads = count_threads()
  end)
  after_each(function() folder.remove(data) end)

  local function options(changes)
    local all = { listen = "127.0.0.1:0", data = data, username = "user", password = "secret" }
    for name, value in pairs(changes or {}) do all[name] = value end
    return all
  end

  local function with_client(url, run)
    local client = require "upstash.kafka".new { url = url, username = "user", password = "secret", retries = 0 }
    local result, message, details = run(client)
    client:close()
    return result, message, details
  end

  local function topics(url)
    return with_client(url, function(client) return client:topics() end)
  end

  local function produce(url, topic)
    return assert(with_client(url, function(client) return client:produce(topic, "hello") end))
  end

  -- Runs a script in a separate Lua; returns its output and its status.
  local function run(script)
    local status, output, errors = shell.run(shell.lua .. " -e " .. shell.quote(script))
    return output .. errors, status
  end

  it("touches no global", function()
    local new = {}
    for name in pairs(_G) do
      if not names_before[name] then new[#new + 1] = name end
    end
    assert.same({}, new)
  end)

  it("does not load the client", function()
    local script = [[
      require "upstash.kafka.server"
      assert(not package.loaded["upstash.kafka.core"])
      for line in io.lines "/proc/self/maps" do assert(not line:find("libcurl", 1, true), line) end
      print "clean"
    ]]
    assert.equal("clean\n", (run(script)))
  end)

  it("has a version and the default of every option", function()
    assert.is_truthy(server._VERSION:match "^%d+%.%d+%.%d+$")
    assert.equal("127.0.0.1:8080", server.defaults.listen)
    assert.equal(1, server.defaults.partitions)
    assert.is_true(server.defaults.auto_create_topics)
    assert.is_false(server.defaults.no_sync)
    for _, name in ipairs { "threads", "max_connections", "max_header_bytes", "max_body_bytes", "max_message_bytes",
      "max_request_memory", "map_bytes", "prefetch_bytes", "prefetch_budget", "idempotency_window",
      "max_connections_per_address", "tls_timeout", "head_timeout", "idle_timeout", "min_rate", "rate_period" } do
      assert.equal("number", type(server.defaults[name]), name)
    end
    for _, name in ipairs { "password", "brokers", "properties", "property_files" } do
      assert.is_nil(server.defaults[name], name)
    end
  end)

  it("raises the limit of open files as requested, up to the hard limit, and never lowers it", function()
    local before = server.allow_files(1)
    assert.equal(before, server.allow_files(1))
    local hard = io.popen "ulimit -Hn":read "*l"
    hard = hard == "unlimited" and math.huge or tonumber(hard)
    assert.equal(math.min(math.max(before, 2000), hard), server.allow_files(2000))
    assert.equal(before < 2000 and math.min(2000, hard) or before, server.allow_files(1))
    local done, message = pcall(server.allow_files, 0)
    assert.is_false(done)
    assert.is_truthy(message:find("positive integer expected", 1, true), message)
  end)

  -- The server replaces this function, which works if the library has a relocation for it.
  it("knows whether the HTTP library calls itself through its symbols", function()
    local library
    for line in io.lines "/proc/self/maps" do library = library or line:match "(/%S*libmicrohttpd%S*)$" end
    local relocations = io.popen("readelf -rW " .. shell.quote(library)):read "*a"
    assert.is_truthy(relocations:find("Relocation section", 1, true))
    assert.equal(relocations:find("MHD_queue_response", 1, true) ~= nil, server.refusals_are_json)
  end)

  it("knows that the HTTP library refuses in HTML if another module loaded it first", function()
    local script = [[
      assert(package.loadlib("libmicrohttpd.so.12", "MHD_get_version"))
      local server = require "upstash.kafka.server"
      local running = require("spec.support.server").start()
      local client = require("spec.support.http").client(running.url, "nobody", "")
      local response = client:raw "GET / HTTP/9.9\r\nHost: x\r\n\r\n"
      print(server.refusals_are_json, response.status, response.body:sub(1, 6))
      running:stop()
    ]]
    assert.equal("false\t505\t<html>\n", (run(script)))
  end)

  describe("B7: a consume of a topic that does not exist", function()
    local support = require "spec.support.server"

    local function consume(running)
      local client = running:client { retries = 0 }
      local result, message, details = client:consume("group", "one", "fresh", { timeout = 1 })
      local known = client:topics()
      client:close()
      running:stop()
      return result, message, details, known.fresh
    end

    it("creates it with as many partitions as the option says", function()
      local messages, _, _, partitions = consume(support.start { partitions = 3 })
      assert.same({}, messages)
      assert.equal(3, partitions)
    end)

    it("does not create it where auto_create_topics is false", function()
      local messages, message, details, partitions = consume(support.start { auto_create_topics = false })
      assert.is_nil(messages)
      assert.equal('topic "fresh" does not exist', message)
      assert.equal("not_found", details.code)
      assert.is_nil(partitions)
    end)
  end)

  it("takes request lines as long as max_header_bytes allows", function()
    local http = require "spec.support.http"
    local support = require "spec.support.server"
    local path = "/produce/long/" .. ("x"):rep(20000)
    for bytes, status in pairs { [64 * 1024] = 200, [8 * 1024] = 414 } do
      local running = support.start { max_header_bytes = bytes }
      local response = http.client(running.url, running.username, running.password):request("GET", path)
      assert.equal(status, response.status)
      local is_json = status == 200 or server.refusals_are_json
      assert.equal(is_json and "application/json" or nil, response.headers["content-type"])
      running:stop()
    end
  end)

  it("C4: 300 clients that ask for a long wait and go away free their places", function()
    local http = require "spec.support.http"
    local running = require("spec.support.server").start { max_connections = 300 }
    local client = http.client(running.url, running.username, running.password)
    assert.equal(201, client:request("POST", "/topics/t", { body = '{"partitions":1}' }).status)
    client:close()
    local body = '{"topic":"t","partition":0,"offset":0,"timeout":600000}'
    for _ = 1, 2 do -- the second time all places are needed again
      local connections = {}
      for index = 1, 300 do
        connections[index] = client:connect()
        connections[index]:send(client:build("POST", "/fetch", { body = body }))
      end
      for index = 1, 300 do
        if index % 2 == 0 then connections[index]:half_close() else connections[index]:close() end
      end
      for index = 2, 300, 2 do
        local response = connections[index]:receive "POST" -- a client that only stopped sending
        assert.is_true(response.status == 200 and response.body == "[]" or response.status == 429)
        connections[index]:close()
      end
    end
    local deadline, status = http.now() + 60
    repeat
      local connection = client:connect()
      connection:send(client:build("GET", "/topics"))
      status = connection:receive("GET").status
      connection:close()
    until status == 200 or http.now() > deadline
    assert.equal(200, status)
    running:stop()
  end)

  it("answers 429 on a connection over max_connections, and serves it once others have closed", function()
    local http = require "spec.support.http"
    local running = require("spec.support.server").start { max_connections = 2 }
    local client = http.client(running.url, running.username, running.password)
    local request = client:build("GET", "/topics")
    local function ask(connection)
      connection:send(request)
      return connection:receive "GET"
    end
    -- Several threads accept connections, so the order is known only once each has been answered.
    local first = client:connect()
    assert.equal(200, ask(first).status)
    local second = client:connect()
    assert.equal(200, ask(second).status)
    local third, fourth = client:connect(), client:connect()
    local refused = ask(third)
    assert.equal(429, refused.status)
    assert.equal('{"error":"the limit of 2 open connections is reached","status":429}', refused.body)
    assert.equal("1", refused.headers["retry-after"])
    assert.is_true(third:ends())
    assert.equal(200, ask(first).status)
    first:close() -- leaves the second and the fourth, which are as many as allowed
    local deadline = http.now() + 60
    repeat
      local response = ask(fourth)
      if response.status == 429 then fourth = client:connect() end
    until response.status == 200 or http.now() > deadline
    assert.equal(200, ask(fourth).status)
    assert.equal(200, ask(second).status)
    running:stop()
  end)

  it("closes a connection over max_connections that sends no request, or half of one", function()
    local http = require "spec.support.http"
    local running = require("spec.support.server").start { max_connections = 1 }
    local client = http.client(running.url, running.username, running.password)
    local first = client:connect()
    first:send(client:build("GET", "/topics"))
    assert.equal(200, first:receive("GET").status)
    local silent, slow = client:connect(), client:connect()
    slow:send "GET /topics HTTP/1.1\r\nHost: x\r\n"
    assert.is_true(silent:ends(60)) -- an idle connection has 75 seconds
    local response = slow:receive("GET", 60)
    assert.equal(408, response.status)
    assert.equal('{"error":"the request did not arrive in time","status":408}', response.body)
    running:stop()
  end)

  describe("start", function()
    it("serves until it is stopped", function()
      local handle = assert(server.start(options()))
      local url = handle:url()
      assert.is_truthy(url:match "^http://127%.0%.0%.1:%d+$")
      assert.same({}, topics(url))
      assert.is_true(count_threads() > threads)
      assert.is_truthy(tostring(handle):find(url, 1, true))
      assert.same({ true }, { handle:stop() })
      assert.equal(threads, settled_threads(threads))
      assert.equal("connect_failed", select(3, topics(url)).code)
      assert.equal("upstash.kafka.server (stopped)", tostring(handle))
    end)

    it("takes its options only, and no further argument for more of them", function()
      local handle = assert(server.start(options(), { ["group.id"] = "x" }, { x = "y" }, 5))
      assert.same({}, topics(handle:url()))
      handle:stop()
    end)

    it("may be stopped twice, and then has no url", function()
      local handle = assert(server.start(options()))
      handle:stop()
      assert.same({ true }, { handle:stop() })
      assert.error_matches(function() return handle:url() end, "server is stopped")
    end)

    it("starts and stops many times with one folder", function()
      for _ = 1, 15 do
        local handle = assert(server.start(options()))
        handle:stop()
      end
      assert.equal(threads, settled_threads(threads))
    end)

    it("runs several at once", function()
      local handles, urls, folders = {}, {}, {}
      for i = 1, 4 do
        folders[i] = folder.name()
        handles[i] = assert(server.start(options { data = folders[i] }))
        urls[handles[i]:url()] = true
        produce(handles[i]:url(), "topic-" .. i)
      end
      for i = 1, 4 do assert.same({ ["topic-" .. i] = 1 }, topics(handles[i]:url())) end
      local count = 0
      for _ in pairs(urls) do count = count + 1 end
      assert.equal(4, count)
      for i = 1, 4 do
        handles[i]:stop()
        folder.remove(folders[i])
      end
      assert.equal(threads, settled_threads(threads))
    end)

    it("keeps messages for the next start", function()
      local handle = assert(server.start(options()))
      produce(handle:url(), "kept")
      handle:stop()
      handle = assert(server.start(options()))
      assert.same({ kept = 1 }, topics(handle:url()))
      handle:stop()
    end)

    it("stops when its handle is collected", function()
      local url = assert(server.start(options())):url()
      assert.is_string(url)
      collectgarbage()
      collectgarbage()
      assert.equal(threads, settled_threads(threads))
    end)

    it("leaves no thread behind after an error", function()
      pcall(function()
        assert(server.start(options()))
        error "something else"
      end)
      collectgarbage()
      collectgarbage()
      assert.equal(threads, settled_threads(threads))
    end)

    -- Lua 5.4 and later; elsewhere the syntax does not exist.
    local chunk = (rawget(_G, "loadstring") or load)(
      "local start, options = ... local handle <close> = assert(start(options))")
    if chunk then
      it("stops at the end of a to-be-closed variable", function()
        chunk(server.start, options())
        assert.equal(threads, settled_threads(threads))
      end)
    end

    it("stops when the Lua state closes, even without a call to stop", function()
      local script = ([[
        handle = assert(require "upstash.kafka.server".start {
          listen = "127.0.0.1:0", data = %q, username = "u", password = "p" })
        print "running"
      ]]):format(data)
      local output, status = run(script)
      assert.equal("running\n", output)
      assert.equal(0, status)
    end)

    it("blames the caller for an invalid option", function()
      local cases = {
        [{ colour = "red" }] = "unknown option 'colour'",
        [{ listen = 8080 }] = "listen: string expected, got number",
        [{ partitions = "three" }] = "partitions: integer expected, got string",
        [{ partitions = 1.5 }] = "partitions: integer expected, got",
        [{ no_sync = "yes" }] = "no_sync: boolean expected, got string",
        [{ data = "a\0b" }] = "data: ",
        [{ brokers = { "a:1" } }] = "brokers: string expected, got table",
        [{ prefetch_bytes = "1k" }] = "prefetch_bytes: integer expected, got string",
        [{ prefetch_budget = 1.5 }] = "prefetch_budget: integer expected, got",
      }
      for changes, text in pairs(cases) do
        local good, message = pcall(function() return (server.start(options(changes))) end)
        assert.is_false(good)
        assert.is_truthy(message:find("server_spec.lua:%d+: bad argument #1 to 'start' %("), message)
        assert.is_truthy(message:find(text, 1, true), message)
      end
    end)

    it("blames the caller for invalid properties, and shows no value", function()
      local cases = {
        [{ properties = "x=y" }] = "properties: table expected, got string",
        [{ property_files = 5 }] = "property_files: table expected, got number",
        [{ properties = { "hush" } }] = "properties: names of properties are strings, got a number",
        [{ properties = { [true] = "hush" } }] = "properties: names of properties are strings, got a boolean",
        [{ properties = { ["sasl.username"] = {} } }] = "properties.sasl.username: text expected, got table",
        [{ properties = { ["sasl.username"] = print } }] = "properties.sasl.username: text expected, got function",
        [{ properties = { ["sasl.password"] = "hush\0" } }] =
          "properties.sasl.password: string without NUL bytes expected",
        [{ properties = { ["sasl\0password"] = "hush" } }] = "properties.sasl: name without NUL bytes expected",
        [{ properties = { ["socket.timeout.ms"] = 2 ^ 60 } }] =
          "properties.socket.timeout.ms: a float beyond 2^53 is not an exact integer",
        [{ properties = { ["socket.timeout.ms"] = math.huge } }] =
          "properties.socket.timeout.ms: a finite number expected",
        [{ properties = { ["socket.timeout.ms"] = 0 / 0 } }] = "properties.socket.timeout.ms: a finite number expected",
        [{ property_files = { ["sasl.password"] = 5 } }] = "property_files.sasl.password: path expected, got number",
        [{ property_files = { ["sasl.password"] = true } }] =
          "property_files.sasl.password: path expected, got boolean",
        [{ properties = { ["sasl.password"] = "hush" }, property_files = { ["sasl.password"] = "hush" } }] =
          "property_files.sasl.password: also set in properties",
      }
      for changes, text in pairs(cases) do
        changes.brokers = "127.0.0.1:1"
        local good, message = pcall(function() return (server.start(options(changes))) end)
        assert.is_false(good)
        assert.equal(("bad argument #1 to 'start' (%s)"):format(text), message:match "server_spec.lua:%d+: (.*)$")
        assert.is_nil(message:find("hush", 1, true), message)
      end
    end)

    it("truncates the long name of a property", function()
      local name = ("n"):rep(1000)
      local good, message = pcall(server.start, options { brokers = "127.0.0.1:1", properties = { [name] = {} } })
      assert.is_false(good)
      assert.is_truthy(message:find("properties%.n+: text expected, got table"), message)
      assert.is_true(#message < 200)
    end)

    it("requires a user name and a password", function()
      assert.error_matches(function() server.start { password = "secret" } end, "username: required")
      assert.error_matches(function() server.start { username = "user" } end, "password: required")
      assert.error_matches(function() server.start() end, "bad argument #1 to 'start'")
    end)

    local function fails(changes, text, code)
      local handle, message, details = server.start(options(changes))
      assert.is_nil(handle)
      assert.is_truthy(message:find(text, 1, true), message)
      assert.equal(message, details.error)
      assert.equal(code, details.code)
      assert.equal("boolean", type(details.retriable))
      assert.equal(threads, settled_threads(threads))
    end

    it("names the option that cannot be used", function()
      fails({ listen = "nowhere" }, "listen: ", "bad_request")
      fails({ partitions = 0 }, "partitions: 1 to 1000 expected, got 0", "bad_request")
      fails({ threads = 1000 }, "threads: ", "bad_request")
      fails({ brokers = "127.0.0.1:1", prefetch_bytes = 1 }, "prefetch_bytes: 1024 to ", "bad_request")
      fails({ brokers = "127.0.0.1:1", prefetch_budget = -1 }, "prefetch_budget: 1048576 to ", "bad_request")
      fails({ username = "a:b" }, "username", "bad_request")
      fails({ tls_cert = "/nowhere.pem" }, "tls_key: missing", "bad_request")
      fails({ tls_cert = "/nowhere.pem", tls_key = "/nowhere.pem" }, "tls_cert: /nowhere.pem", "bad_request")
    end)

    it("names the property of librdkafka that cannot be used, and shows no value", function()
      local file = folder.make() .. "/file"
      local cases = {
        [{ properties = { ["no.such.property"] = "hush" } }] =
          "properties: no.such.property: unknown property of librdkafka",
        [{ properties = { ["socket.timeout.ms"] = "hush" } }] = "properties: socket.timeout.ms: ",
        [{ properties = { ["socket.timeout.ms"] = 0.5 } }] = "properties: socket.timeout.ms: ",
        [{ properties = { ["group.id"] = "hush" } }] = "properties: group.id is set by the server",
        [{ properties = { ["bootstrap.servers"] = "hush" } }] =
          "properties: bootstrap.servers is set by the server; use brokers",
        [{ properties = { ["ssl.ca.location"] = "/nowhere/hush" } }] =
          "properties: ssl.ca.location: No such file or directory",
        [{ property_files = { ["sasl.password"] = file } }] =
          "properties: sasl.password: " .. file .. ": No such file or directory",
      }
      for changes, text in pairs(cases) do
        changes.brokers = "127.0.0.1:1"
        fails(changes, text, "bad_request")
        assert.is_nil(select(2, server.start(options(changes))):find("hush", 1, true))
      end
      folder.remove(file:match "^(.*)/")
    end)

    it("reports the consumer properties that librdkafka refuses", function()
      for name, value in pairs { ["fetch.max.bytes"] = 999, ["receive.message.max.bytes"] = 1000 } do
        fails({ brokers = "127.0.0.1:1", properties = { [name] = value } }, "`" .. name .. "`", "bad_request")
      end
    end)

    -- Properties are set in order of name, so those before the unknown one were accepted.
    it("passes properties on as strings: numbers without a fraction, booleans as words", function()
      local file = folder.make() .. "/file"
      folder.write(file, "45000\n")
      fails({
        brokers = "127.0.0.1:1",
        properties = {
          ["client.id"] = "me",
          ["log.connection.close"] = true,
          ["log_level"] = 7, -- more would be refused; the others must be at least 10
          ["metadata.max.age.ms"] = 60000,
          ["socket.keepalive.enable"] = false,
          ["socket.timeout.ms"] = 45000.0,
          ["zzz"] = "last",
        },
        property_files = { ["socket.connection.setup.timeout.ms"] = file },
      }, "properties: zzz: unknown property of librdkafka", "bad_request")
      folder.remove(file:match "^(.*)/")
    end)

    it("bounds the number of properties", function()
      for count, text in pairs { [256] = "properties: name-", [257] = "properties: at most 256 expected, got 257" } do
        local properties = {}
        for number = 1, count do properties["name-" .. number] = number end
        fails({ brokers = "127.0.0.1:1", properties = properties }, text, "bad_request")
      end
    end)

    it("requires brokers with properties", function()
      fails({ properties = { ["client.id"] = "me" } }, "properties: ", "bad_request")
      fails({ property_files = { ["client.id"] = "/nowhere" } }, "properties: ", "bad_request")
      fails({ brokers = "" }, "brokers: HOST:PORT", "bad_request")
    end)

    it("is not healthy before the cluster has answered once", function()
      local silent = assert(require("socket").bind("127.0.0.1", 0)) -- accepts, and never answers
      local _, port = silent:getsockname()
      local handle = assert(server.start(options { data = nil, brokers = "127.0.0.1:" .. port }))
      local health, message, details = with_client(handle:url(), function(client) return client:health() end)
      handle:stop()
      silent:close()
      assert.is_nil(health)
      assert.equal("the Kafka cluster has not answered yet", message)
      assert.equal(503, details.status)
    end)

    it("names listen when the port is taken", function()
      local handle = assert(server.start(options()))
      local other = folder.name()
      local address = handle:url():match "^http://(.*)$"
      local second, message = server.start(options { listen = address, data = other })
      assert.is_nil(second)
      assert.is_truthy(message:find("listen", 1, true), message)
      assert.is_truthy(message:find(address, 1, true), message)
      handle:stop()
      folder.remove(other)
    end)

    it("names data when it cannot be written or is in use", function()
      local handle = assert(server.start(options()))
      local second, message = server.start(options())
      assert.is_nil(second)
      assert.is_truthy(message:find(data, 1, true), message)
      local script = ([[print(select(2, require "upstash.kafka.server".start {
        listen = "127.0.0.1:0", data = %q, username = "u", password = "p" }))]]):format(data)
      local output = run(script)
      assert.is_truthy(output:find(data, 1, true), output)
      handle:stop()
      fails({ data = "/proc/nothing" }, "/proc/nothing", "unavailable")
    end)
  end)

  it("protects the type of its handles", function()
    local handle = assert(server.start(options()))
    assert.equal("protected", getmetatable(handle))
    assert.is_nil(handle.__gc)
    assert.error(function() handle.stop {} end)
    assert.error(function() handle.stop(io.stdout) end)
    handle:stop()
  end)

  describe("make_directory", function()
    after_each(function() folder.remove(data) end)

    it("makes parents, for the owner only, and accepts repeated slashes", function()
      assert.is_true(server.make_directory(data .. "/a//b/"))
      assert.is_true(server.make_directory(data .. "/a/b"))
      assert.equal("rwx------", lfs.attributes(data .. "/a/b", "permissions"))
    end)

    it("says what is in the way", function()
      assert.is_true(server.make_directory(data))
      folder.write(data .. "/file", "")
      for _, path in ipairs { data .. "/file", data .. "/file/more" } do
        local made, message = server.make_directory(path)
        assert.is_nil(made)
        assert.equal(path .. ": Not a directory", message)
      end
      assert.equal("File name too long", select(2, server.make_directory(("x"):rep(5000))):match ": (.*)$")
      assert.error_matches(function() server.make_directory "" end, "path is empty")
      assert.error_matches(function() server.make_directory "a\0b" end, "path contains a NUL")
    end)
  end)

  describe("write_secret", function()
    before_each(function() assert.is_true(server.make_directory(data)) end)

    it("writes a new file that only its owner may read", function()
      assert.is_true(server.write_secret(data .. "/secret", "a\0b\n"))
      assert.equal("a\0b\n", folder.read(data .. "/secret"))
      assert.equal("rw-------", lfs.attributes(data .. "/secret", "permissions"))
    end)

    it("leaves existing files and links alone, and no draft behind", function()
      folder.write(data .. "/file", "old")
      lfs.link(data .. "/file", data .. "/link", true)
      lfs.link(data .. "/nowhere", data .. "/dangling", true)
      for _, name in ipairs { "file", "link", "dangling" } do
        local path = data .. "/" .. name
        local written, message = server.write_secret(path, "new")
        assert.is_nil(written)
        assert.equal(path .. ": File exists", message)
      end
      assert.equal("old", folder.read(data .. "/file"))
      assert.is_nil(folder.read(data .. "/nowhere"))
      local count = 0
      for _ in lfs.dir(data) do count = count + 1 end
      assert.equal(5, count) -- with . and ..
    end)

    it("says what is missing", function()
      local path = data .. "/none/secret"
      assert.equal(path .. ": No such file or directory", select(2, server.write_secret(path, "x")))
    end)
  end)

  describe("read_secret", function()
    before_each(function() assert.is_true(server.make_directory(data)) end)

    it("reads the first line of a file that only its owner may read", function()
      local path = data .. "/secret"
      assert.same({}, { server.read_secret(path) })
      assert.is_true(server.write_secret(path, "one\ntwo\n"))
      assert.same({ "one" }, { server.read_secret(path) })
      assert(os.execute("chmod 644 '" .. path .. "'"))
      assert.same({ nil, "others may read or write " .. path .. " (mode 644); chmod 600 it" },
        { server.read_secret(path) })
      assert.error_matches(function() server.read_secret "" end, "path is empty")
    end)
  end)

  it("makes random bytes", function()
    assert.equal(32, #server.random_bytes(32))
    assert.equal(256, #server.random_bytes(256))
    assert.not_equal(server.random_bytes(16), server.random_bytes(16))
    for _, count in ipairs { 0, 257, -1, 1.5 } do
      assert.error_matches(function() server.random_bytes(count) end, "integer from 1 to 256 expected")
    end
  end)

  it("A16: a second signal ends a process that does not stop, and so does a deadline", function()
    for _, case in ipairs {
      { name = "TERM", patience = 600000, said = "upstash-kafka: stopped at once by a second signal\n" },
      { name = "INT", patience = 600000, said = "upstash-kafka: stopped at once by a second signal\n" },
      { patience = 20, said = "upstash-kafka: stopped, because stopping took too long\n" },
    } do
      local process = shell.start(shell.lua .. " -e " .. shell.quote(([[
        local server = require "upstash.kafka.server"
        server.block_signals()
        io.stdout:write "ready\n"
        io.stdout:flush()
        server.wait_for_signal()
        server.force_exit(%d)
        io.stdout:write "stopping\n"
        io.stdout:flush()
        while true do end
      ]]):format(case.patience)) .. " 2>&1")
      process:expect "(ready)\n"
      process:signal "TERM"
      process:expect "(stopping)\n"
      if case.name then process:signal(case.name) end
      assert.equal(1, process:wait())
      assert.equal("ready\nstopping\n" .. case.said, process:output())
      process:remove()
    end
    for _, wrong in ipairs { 0, -1, 1.5, 2 ^ 31 } do
      assert.error_matches(function() server.force_exit(wrong) end, "positive integer expected")
    end
  end)

  it("C1: waits for the signals that stop a process, and survives others", function()
    for _, name in ipairs { "TERM", "INT" } do
      local process = shell.start(shell.lua .. " -e " .. shell.quote(([[
        local server = require "upstash.kafka.server"
        server.block_signals()
        local handle = assert(server.start { listen = "127.0.0.1:0", data = %q, username = "u", password = "p" })
        io.stdout:write "ready\n"
        io.stdout:flush()
        print(server.wait_for_signal())
        handle:stop()
      ]]):format(data)))
      process:expect "(ready)\n"
      for _, ignored in ipairs { "PIPE", "HUP", "USR1", "USR2", "XFSZ" } do process:signal(ignored) end
      process:signal(name)
      assert.equal(0, process:wait())
      assert.equal("ready\nSIG" .. name .. "\n", process:output())
      assert.equal("upstash-kafka: SIGHUP: nothing was reloaded; the options are those of the start\n",
        process:errors())
      process:remove()
    end
  end)
end)
