-- Calls inside a real nginx, over its sockets.

local canned = require "spec.support.canned_server"
local certificates = require "spec.support.certificates"
local cjson = require "cjson"
local folder = require "spec.support.folder"
local name_server = require "spec.support.name_server"
local remote = require "spec.support.nginx_remote"
local server_support = require "spec.support.server"
local support = require "spec.support.nginx"

if not support.runs_here then return pending(support.NEEDS) end

describe("in nginx", function()
  teardown(support.stop_all)

  local nginx

  setup(function() nginx = support.start { locations = remote.LOCATION } end)
  teardown(function() nginx:stop() end)

  require "spec.support.network_cases" (describe, it, function(options) return remote.new(nginx, options) end, {})
end)

describe("in nginx, a call", function()
  teardown(support.stop_all)

  local server, nginx

  local LOCATIONS = remote.LOCATION .. [[
    location /api/ {
      proxy_pass $server/;
      proxy_http_version 1.1;
      proxy_set_header Host localhost;
    }
    location = /late/topics {
      content_by_lua_block {
        while not package.loaded.closed do ngx.sleep(0.01) end
        ngx.print '{"t":1}'
      }
    }
    location = /run {
      content_by_lua_block {
        ngx.req.read_body()
        local chunk = assert(loadstring(ngx.req.get_body_data(), "=run"))
        local results = { pcall(chunk, client) }
        ngx.print(require("cjson").encode(results))
      }
    }
  ]]

  setup(function()
    server = server_support.start { max_body_bytes = 8 * 1024 * 1024 }
    nginx = support.start {
      environment = server:environment(),
      main = "env UPSTASH_KAFKA_REST_URL; env UPSTASH_KAFKA_REST_USERNAME; env UPSTASH_KAFKA_REST_PASSWORD;",
      http = [[init_by_lua_block { client = require("upstash.kafka").new() }]],
      locations = LOCATIONS, values = { server = server.url },
    }
  end)

  teardown(function()
    nginx:stop()
    server:stop()
  end)

  -- Runs Lua code in a content handler, with the client as its argument. Returns its results.
  local function run(text, timeout)
    local response = nginx:post("/run", text, timeout)
    assert.equal(200, response.status, response.body)
    local results = cjson.decode(response.body)
    assert.is_true(results[1], results[2])
    return unpack(results, 2)
  end

  it("A3: asks again for an unreadable response in smaller batches, down to the message at fault", function()
    local topic, own = server_support.name "unreadable", server:client()
    local list = {}
    for number = 1, 30 do list[number] = { value = tostring(number), partition = 0 } end
    list[25].value = ("x"):rep(5000)
    assert(own:produce_many(topic, list))
    local seen, failure = run(([[
      local seen, failure = {}, nil
      local client = require("upstash.kafka").new { max_response_bytes = 3000 }
      local fine, problem = pcall(function()
        for message in client:messages { group = "unreadable", instance = "i", topic = %q, from = "earliest", idle = 0 } do
          seen[#seen + 1] = message.value
        end
      end)
      return seen, { fine = fine, code = problem.code, position = problem.position }
    ]]):format(topic))
    assert.equal(24, #seen)
    for number = 1, 24 do assert.equal(tostring(number), seen[number]) end
    assert.same({ fine = false, code = "response_too_large", position = { topic = topic, partition = 0, offset = 24 } },
      failure)
    assert.equal(24, server:committed("unreadable", topic))
    own:close()
  end)

  it("E8: reads responses of 8 MiB by default, and not one byte more", function()
    local function code_of(bytes, options)
      local body = "{}"
      local large = canned.start { "accept", "read", canned.answer(200, body .. (" "):rep(bytes - #body)) }
      local client = remote.new(nginx, { url = large.url, retries = 0, max_response_bytes = options })
      local topics, _, details = client:topics()
      client:close()
      large:finish()
      return topics and "read" or details.code
    end
    local most = 8 * 1024 * 1024
    assert.same({ "read", "response_too_large", "read" },
      { code_of(most), code_of(most + 1), code_of(most + 1, most + 1) })
  end)

  it("D9: sends the environment's credentials to no other URL", function()
    local own, other = run [[
      local kafka = require "upstash.kafka"
      local function sends(options) return kafka.new(options):prepare("topics").headers.Authorization ~= nil end
      return sends(), sends { url = os.getenv "UPSTASH_KAFKA_REST_URL" .. "/x" }
    ]]
    assert.same({ true, false }, { own, other })
  end)

  for _, way in ipairs { "TCP", "a unix socket" } do
    it("of each kind is answered over " .. way, function()
      local url = way ~= "TCP" and nginx.unix_url .. ":/api/" or server.url
      local client = remote.new(nginx, server:access { url = url, binary = true })
      local topic = server_support.name "each"
      local bytes = "\0\1\255\r\n" .. ("x"):rep(70000)
      assert.same({ topic = topic, partitions = 2 }, client:create_topic(topic, { partitions = 2 }))
      assert.equal(2, client:topics()[topic])
      assert.equal(0, client:produce(topic, bytes, { key = "\255", partition = 1, headers = { a = "b" } }).offset)
      assert.equal(2, #client:produce_many(topic, { { value = "1", partition = 0 }, { value = "2", partition = 0 } }))
      assert.is_table(client:webhook(topic, "raw"))
      local fetched = client:fetch(topic, 1, 0)[1]
      assert.equal(bytes, fetched.value)
      assert.equal("\255", fetched.key)
      assert.same({ { key = "a", value = "b" } }, fetched.headers)
      local options = { auto_offset_reset = "earliest", auto_commit = false, timeout = 5000 }
      local consumed = #assert(client:consume("group", "one", topic, options))
      assert.is_true(consumed > 0)
      assert.is_true(client:commit("group", "one"))
      assert.equal(2, #client:committed("group", "one", { { topic = topic, partition = 0 },
        { topic = topic, partition = 1 } }))
      assert.equal("group", client:consumers()[1].name)
      assert.is_true(client:delete_consumer("group", "one"))
      assert.equal(0, client:offsets("earliest", { topic = topic, partition = 0 })[1].offset)
      assert.equal("ok", client:health().status)
      assert.is_true(client:delete_topic(topic))
      local result, message, details = client:fetch(topic, 0, 0)
      assert.is_nil(result)
      assert.equal("not_found", details.code)
      assert.equal(message, details.error)
    end)
  end

  it("works over a unix socket with libcurl too", function()
    local client = server:client { url = nginx.unix_url .. ":/api" }
    assert.is_table(client:topics())
    assert.is_table(server:client({ url = nginx.unix_url, retries = 0, username = "x" }) and client:consumers())
    client:close()
  end)

  it("is also a function of the module, with the environment's client", function()
    local topic = server_support.name "module"
    assert.equal(0, run(([[return require("upstash.kafka").produce("%s", "v").offset]]):format(topic)))
    assert.equal("v", run(([[return require("upstash.kafka").fetch("%s", 0, 0)[1].value]]):format(topic)))
  end)

  it("raises misuse, blaming the caller's line", function()
    for call, text in pairs {
      ["client:produce()"] = "bad argument #1 to 'produce' (topic: string expected, got nil)",
      ["client:produce('t', 'v', { colour = 1 })"] = "bad argument #3 to 'produce' (unknown option 'colour')",
      ["client.topics()"] = "calling 'topics' on nil: write client:topics{…}",
      ["client:messages {}"] = "bad argument #1 to 'messages' (group: non-empty string expected, got nil)",
      ["client:messages { group = 'g', instance = '%d', topic = 't' }"]
        = "bad argument #1 to 'messages' (instance: %p, %w or %% expected, got '%d')",
    } do
      assert.equal("run:2: " .. text, run("local client = ...\nlocal fine, text = pcall(function()\n" .. call
        .. "\nend)\nreturn (text:gsub('^run:3', 'run:2'))"))
    end
  end)

  it("without a URL explains that nginx hides the environment", function()
    local bare = support.start { locations = [[location = /new { content_by_lua_block {
      local kafka = require "upstash.kafka"
      ngx.print((select(2, pcall(kafka.new))), "\n", (select(2, pcall(kafka.topics))))
    } }]] }
    assert.equal("bad argument #1 to 'new' (url: string expected, "
      .. "UPSTASH_KAFKA_REST_URL is not set (nginx hides it without an env directive))\n"
      .. "kafka.topics needs UPSTASH_KAFKA_REST_URL (nginx hides it without an env directive); or create a client with "
      .. "kafka.new", bare:get("/new").body)
    bare:stop()
  end)

  it("on a closed client raises, and a pending one is aborted", function()
    assert.truthy(run [[
      local other = require("upstash.kafka").new()
      other:close()
      return select(2, pcall(other.topics, other))
    ]]:find "client is closed$")
    assert.equal("cancelled", run(([[
      local other = require("upstash.kafka").new { url = "%s/late" }
      ngx.timer.at(0.05, function()
        other:close()
        package.loaded.closed = true
      end)
      local _, _, details = other:topics()
      return details.code
    ]]):format(nginx.url)))
  end)

  it("may be one of hundreds of concurrent ones on a client", function()
    local topic = server_support.name "many"
    assert.equal(300, run(([[
      local client, threads, done = ..., {}, 0
      for number = 1, 300 do
        threads[number] = ngx.thread.spawn(function()
          local value = ("x"):rep(number) .. number
          local metadata = assert(client:produce("%s", value, { partition = 0 }))
          local message = assert(client:fetch("%s", 0, metadata.offset, { max_messages = 1 }))[1]
          assert(message.value == value and message.offset == metadata.offset)
          done = done + 1
        end)
      end
      for _, thread in ipairs(threads) do assert(ngx.thread.wait(thread)) end
      return done
    ]]):format(topic, topic), 60))
    assert.equal(300, server:client():offsets("latest", { topic = topic, partition = 0 })[1].offset)
  end)

  it("resolves some names without a resolver, and says what the others need", function()
    local port = server.url:match ":(%d+)$"
    assert.is_table(remote.new(nginx, server:access { url = "http://localhost:" .. port }):topics())
    local _, message, details = remote.new(nginx, { url = "http://kafka.nowhere.example", retries = 0 }):topics()
    assert.equal("resolve_failed", details.code)
    assert.equal('no resolver defined to resolve "kafka.nowhere.example": set nginx\'s resolver directive, or put the '
      .. "name into /etc/hosts", message)
  end)

  it("asks nginx's resolver for other names, and reports the outcome", function()
    local knowing, silent = name_server.start("kafka.test", "127.0.0.1"), name_server.start "kafka.test"
    local function asking(port, url)
      local there = support.start { locations = remote.LOCATION,
        http = ("resolver 127.0.0.1:%d ipv6=off; resolver_timeout 1s;"):format(port) }
      local topics, message, details = remote.new(there, server:access { url = url, retries = 0 }):topics()
      there:stop()
      return topics, message, details
    end
    local port = server.url:match ":(%d+)$"
    assert.is_table(asking(knowing.port, "http://kafka.test:" .. port))
    local _, message, details = asking(knowing.port, "http://other.test:" .. port)
    assert.equal("resolve_failed", details.code, message)
    assert.truthy(message:find("other.test could not be resolved", 1, true), message)
    _, message, details = asking(silent.port, "http://kafka.test:" .. port)
    assert.equal("resolve_failed", details.code, message)
    knowing:stop()
    silent:stop()
  end)

  it("gets the server's refusal of a body that is not read", function()
    local _, _, details = remote.new(nginx, server:access { retries = 0 }):produce("t", ("x"):rep(9 * 1024 * 1024))
    assert.equal("too_large", details.code)
    assert.equal(413, details.status)
  end)

  it("F2: keeps to its timeout while the server reads the body slowly", function()
    local slow = canned.start { "accept", "hold" }
    local _, _, details = remote.new(nginx, { url = slow.url, timeout = 300 }):produce("t", ("x"):rep(12 * 1024 * 1024))
    assert.equal("timeout", details.code)
    assert.same({}, slow:finish()) -- it had not given up before
  end)
end)

describe("in nginx, TLS", function()
  teardown(support.stop_all)

  local place, server, nginx, wary, cert -- wary: trusts another certificate

  local function certificate(name, host)
    local path = place .. "/" .. name
    local status = os.execute(("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=%s -addext "
      .. "subjectAltName=%s -keyout %s.key -out %s.crt 2>/dev/null"):format(name, host, path, path))
    assert(status == true or status == 0, "openssl failed")
    return path .. ".crt", path .. ".key"
  end

  local function trusting(trusted)
    return support.start { http = ("lua_ssl_trusted_certificate %s; lua_socket_log_errors off;"):format(trusted),
      locations = remote.LOCATION }
  end

  setup(function()
    place = folder.make()
    local key
    cert, key = certificate("here", "DNS:localhost,IP:127.0.0.1")
    local other = certificate("other", "DNS:localhost")
    server = server_support.start { tls_cert = cert, tls_key = key }
    nginx, wary = trusting(cert), trusting(other)
  end)

  teardown(function()
    nginx:stop()
    wary:stop()
    server:stop()
    folder.remove(place)
  end)

  local function client(more, where)
    local all = server:access { url = "https://localhost:" .. server.url:match ":(%d+)$", retries = 0 }
    for name, value in pairs(more or {}) do all[name] = value end
    return remote.new(where or nginx, all)
  end

  it("works if the certificate is trusted", function()
    local known, topic = client(), server_support.name "secret"
    for offset = 0, 4 do
      assert.equal(offset, assert(known:produce(topic, ("x"):rep(100000), { partition = 0 })).offset)
    end
    assert.equal(100000, #known:fetch(topic, 0, 4)[1].value)
  end)

  it("refuses an untrusted certificate, and says what to set", function()
    local unset = support.start { locations = remote.LOCATION }
    for _, where in ipairs { wary, unset } do
      local result, message, details = client({}, where):topics()
      assert.is_nil(result)
      assert.equal("tls_failed", details.code)
      assert.is_false(details.retriable)
      assert.truthy(message:find "lua_ssl_trusted_certificate$", message)
    end
    unset:stop()
  end)

  it("refuses a certificate for another host, and an address instead of a name", function()
    local elsewhere, key = certificate("elsewhere", "DNS:elsewhere.example")
    local other = server_support.start { tls_cert = elsewhere, tls_key = key }
    local there = trusting(elsewhere)
    local _, message, details = remote.new(there, other:access { retries = 0,
      url = "https://localhost:" .. other.url:match ":(%d+)$" }):topics()
    there:stop()
    other:stop()
    assert.equal("tls_failed", details.code, message)
    assert.truthy(message:find("certificate host mismatch", 1, true), message)
    _, message, details = client({ url = server.url }):topics()
    assert.equal("tls_failed", details.code)
    assert.truthy(message:find("nginx verifies host names, not addresses", 1, true), message)
  end)

  it("E8: is 1.2 at least, whatever lua_ssl_protocols offers", function()
    for version, code in pairs { tls1_1 = "tls_failed", tls1_2 = "bad_response" } do
      local old = certificates.serve(place, { cert = cert, key = place .. "/here.key", version = version })
      local lax = support.start { environment = { OPENSSL_CONF = old.every_version }, locations = remote.LOCATION,
        http = "lua_ssl_protocols TLSv1.1 TLSv1.2; lua_ssl_ciphers ALL:@SECLEVEL=0; lua_socket_log_errors off;" }
      local _, message, details = client({ url = old.url, verify = false }, lax):topics()
      lax:stop()
      old:stop()
      assert.equal(code, details.code, message)
      assert.equal(code == "tls_failed", message:find("before 1.2", 1, true) ~= nil, message)
    end
  end)

  it("accepts any certificate if verify is false, on a connection that verifying clients never get", function()
    assert.is_table(client({ verify = false }, wary):topics())
    local _, _, details = client({}, wary):topics()
    assert.equal("tls_failed", details.code)
  end)

  it("refuses a ca_file, which nginx's sockets would ignore", function()
    assert.has_error(function() client({ ca_file = cert }):topics() end,
      "client:topics: nginx's sockets do not support ca_file: remove it and set lua_ssl_trusted_certificate")
  end)

  it("with a server that never completes the handshake fails to connect, in time", function()
    local mute = canned.start { "accept", "gone" }
    local _, _, details = client({ url = "https://localhost:" .. mute.port, connect_timeout = 300 }):topics()
    assert.equal("connect_failed", details.code)
    assert.same({}, mute:finish()) -- the client ended the connection
  end)
end)
