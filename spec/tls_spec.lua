-- TLS between client and server. Certificates are verified unless the client disables that.

local certificates = require "spec.support.certificates"
local folder = require "spec.support.folder"
local http = require "spec.support.http"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

describe("TLS", function()
  local place, server, cert

  setup(function()
    place = folder.make()
    local key
    cert, key = certificates.self_signed(place, "here", "IP:127.0.0.1")
    server = support.start { tls_cert = cert, tls_key = key }
  end)

  teardown(function()
    server:stop()
    folder.remove(place)
  end)

  it("carries every call if the certificate is trusted", function()
    assert.equal("https", server.url:match "^%a+")
    local client = server:client { ca_file = cert }
    local topic = support.name "secret"
    local metadata = assert(client:produce(topic, ("x"):rep(100000)))
    assert.equal(0, metadata.offset)
    local messages = assert(client:fetch(topic, 0, 0))
    assert.equal(100000, #messages[1].value)
    client:close()
  end)

  it("carries the queue of a producer at the end of the process", function()
    local topic = support.name "left"
    local status, _, err = shell.run(("%s -e %s"):format(shell.lua, shell.quote(([[
      local client = require("upstash.kafka").new { ca_file = %q }
      local producer = client:producer { linger = 60000 }
      for number = 1, 1000 do assert(producer:send(%q, tostring(number))) end]]):format(cert, topic))),
      { environment = server:environment() })
    assert.same({ 0, "" }, { status, err })
    local client = server:client { ca_file = cert }
    assert.equal(1000, assert(client:offsets("latest", { topic = topic, partition = 0 }))[1].offset)
    client:close()
  end)

  it("is waited for by a producer", function()
    local client = server:client()
    local producer = client:producer { name = support.name "untrusting", log = false }
    assert(producer:send("t", "v"))
    shell.eventually(20, function() return (producer:stats().trouble or ""):find "certificate" end)
    assert.same({ 0, 0 }, { producer:stats().failed, producer:stats().delivered })
    producer:close(0)
    client:close()
  end)

  it("refuses an untrusted certificate", function()
    local result, message, details = server:client({ retries = 0 }):topics()
    assert.is_nil(result)
    assert.equal("tls_failed", details.code)
    assert.is_false(details.retriable)
    assert.is_nil(message:find(server.password, 1, true))
  end)

  it("refuses a certificate for another host", function()
    local elsewhere, key = certificates.self_signed(place, "elsewhere", "DNS:elsewhere.example")
    local other = support.start { tls_cert = elsewhere, tls_key = key }
    local result, _, details = other:client({ ca_file = elsewhere, retries = 0 }):topics()
    assert.is_nil(result)
    assert.equal("tls_failed", details.code)
    other:stop()
  end)

  it("accepts any certificate if verify is false", function()
    assert.is_table(server:client({ verify = false }):topics())
  end)

  it("E8: is 1.2 at least, whatever OpenSSL would accept", function()
    local key = place .. "/here.key"
    for version, code in pairs { tls1_1 = "tls_failed", tls1_2 = "bad_response" } do
      local old = certificates.serve(place, { cert = cert, key = key, version = version })
      local status, out = shell.run(("%s -e %s"):format(shell.lua, shell.quote(([[
        local client = require("upstash.kafka").new { url = %q, username = "u", password = "p", ca_file = %q, retries = 0 }
        print(select(3, client:topics()).code)]]):format(old.url, cert))),
        { environment = { OPENSSL_CONF = old.every_version } })
      old:stop()
      assert.same({ 0, code .. "\n" }, { status, out })
    end
  end)

  it("E8: replaces the control characters of a name in a certificate that is for another host", function()
    local named, key = certificates.self_signed(place, "here\27[31m")
    local other = support.start { tls_cert = named, tls_key = key }
    local _, message, details = other:client({ ca_file = named, retries = 0 }):topics()
    other:stop()
    assert.equal("tls_failed", details.code)
    assert.truthy(message:find("here?[31m", 1, true), message)
  end)

  it("ends the wait of a consumer when a message arrives", function()
    local client, topic = server:client { ca_file = cert }, support.name "wait"
    assert(client:create_topic(topic, { partitions = 1 }))
    assert(client:produce(topic, "early"))
    local messages = assert(client:consume("g", "one", topic, { auto_offset_reset = "earliest", timeout = 5000 }))
    assert.equal("early", messages[1].value)
    client:close()
  end)

  it("keeps a connection after a request line over the limit, and serves the next request", function()
    local answers = "-s -o /dev/null --cacert " .. cert .. " -w '%{http_code} %{num_connects}\\n'"
    local status, out = shell.run(("curl %s %s/%s --next %s -H 'X: %s' %s/topics"):format(answers, server.url,
      ("x"):rep(8300), answers, ("x"):rep(20000), server.url))
    assert.same({ 0, "414 1\n431 0\n" }, { status, out })
  end)

  it("carries the refusal of a length that is no number", function()
    local ask = "curl -s -o /dev/null -w '%%{http_code}' --cacert %s -H 'Content-Length: five' -d x %s/topics"
    local status, out = shell.run(ask:format(cert, server.url))
    assert.equal("400", out, status)
  end)

  it("does not answer plain HTTP", function()
    local plain = kafka.new { url = server.url:gsub("^https", "http"), username = server.username,
      password = server.password, retries = 0, timeout = 5000 }
    local result, _, details = plain:topics()
    assert.is_nil(result)
    assert.is_truthy(details.code)
  end)

  -- What is left of the bytes after the TLS alerts that they start with.
  local function after_alerts(bytes)
    while #bytes >= 5 and bytes:byte() == 21 do
      bytes = bytes:sub(6 + bytes:byte(4) * 256 + bytes:byte(5))
    end
    return bytes
  end

  local half_hello = "\22\3\1\2\0\1\0\1\252\3\3" .. ("r"):rep(200) -- the record says 512 bytes
  local openings = {
    ["plain HTTP"] = { "GET /topics HTTP/1.1\r\nHost: here\r\n\r\n", false },
    ["plain HTTP, then the end of the client's side"] = { "GET /topics HTTP/1.1\r\nHost: here\r\n\r\n", true },
    ["half a ClientHello, then the end of the client's side"] = { half_hello, true },
  }
  for title, case in pairs(openings) do
    it("writes nothing in plain text after " .. title, function()
      local connection = http.connect("127.0.0.1", server.url:match ":(%d+)$")
      assert.is_true(connection:send(case[1]))
      if case[2] then connection:half_close() end
      connection:ends()
      assert.is_true(connection.closed)
      connection:close()
      assert.equal("", after_alerts(connection.buffer))
    end)
  end

  -- Whether openssl can complete a handshake.
  local function shakes_hands(words)
    local status = shell.run(("openssl s_client -connect %s %s </dev/null"):format(
      server.url:match "//(.*)$", words))
    return status == 0
  end

  for words, accepted in pairs {
    ["-tls1_3"] = true,
    ["-tls1_2"] = true,
    ["-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256"] = true,
    ["-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305"] = true,
    ["-tls1_1 -cipher ALL:@SECLEVEL=0"] = false,
    ["-tls1 -cipher ALL:@SECLEVEL=0"] = false,
    ["-tls1_2 -cipher AES128-GCM-SHA256:AES256-GCM-SHA384"] = false,
    ["-tls1_2 -cipher ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA384"] = false,
    ["-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256"] = false,
  } do
    it(("E5: %s openssl s_client %s"):format(accepted and "accepts" or "refuses", words), function()
      assert.equal(accepted, shakes_hands(words))
    end)
  end

  it("E5: admits what tls_priorities names, and says what it does not understand", function()
    local options = { tls_cert = cert, tls_key = place .. "/here.key", tls_priorities = "NORMAL" }
    local other = support.start(options)
    local status = shell.run(("openssl s_client -connect %s -tls1_2 -cipher AES128-GCM-SHA256 </dev/null"):format(
      other.url:match "//(.*)$"))
    assert.equal(0, status)
    other:stop()
    local handle, message = require("upstash.kafka.server").start { listen = "127.0.0.1:0", data = folder.name(),
      username = "u", password = "p", tls_cert = cert, tls_key = place .. "/here.key", tls_priorities = "NORMAL:+X" }
    assert.is_nil(handle)
    assert.equal('tls_priorities: not understood from "+X" on (GnuTLS)', message)
  end)

  it("E5: refuses a key that others may read, and names its mode", function()
    local key = place .. "/here.key"
    for mode, refused in pairs { ["0640"] = true, ["0604"] = true, ["0600"] = false, ["0400"] = false } do
      assert.equal(0, (shell.run("chmod " .. mode .. " " .. key)))
      local options = { listen = "127.0.0.1:0", data = folder.name(), username = "u", password = "p",
        tls_cert = cert, tls_key = key }
      local handle, message = require("upstash.kafka.server").start(options)
      if handle then handle:stop() end
      assert.equal(refused, handle == nil)
      assert.is_true(not refused or message:find("mode " .. mode, 1, true) ~= nil, message)
      folder.remove(options.data)
    end
    assert.equal(0, (shell.run("chmod 0600 " .. key)))
  end)

  describe("E5: a reload", function()
    local renewed, own_cert, own_key

    local function copy(from, to)
      assert.equal(0, (shell.run(("cp %s %s"):format(from, to))))
    end

    setup(function()
      own_cert, own_key = certificates.self_signed(place, "reloaded", "IP:127.0.0.1")
      renewed = { certificates.self_signed(place, "renewed", "IP:127.0.0.1") }
    end)

    it("replaces the certificate, and open connections stay", function()
      local first = place .. "/first.pem"
      copy(own_cert, first)
      local reloaded = support.start { tls_cert = own_cert, tls_key = own_key }
      local old = reloaded:client { ca_file = first, retries = 0 }
      assert(old:topics())
      copy(renewed[1], own_cert)
      local done, message = reloaded.handle:reload()
      assert.is_nil(done) -- the key is still the old one
      assert.is_truthy(message:find("the key of another certificate", 1, true), message)
      local before = reloaded:client { ca_file = first, retries = 0 }
      assert(before:topics())
      copy(renewed[2], own_key)
      assert.is_true(reloaded.handle:reload())
      assert(old:topics())
      local new = reloaded:client { ca_file = renewed[1], retries = 0 }
      assert(new:topics())
      local strange = reloaded:client { ca_file = first, retries = 0 }
      local result, _, details = strange:topics()
      assert.is_nil(result)
      assert.equal("tls_failed", details.code)
      for _, client in ipairs { old, before, new, strange } do client:close() end
      reloaded:stop()
    end)
  end)

  it("names the option if a file is missing or not a certificate", function()
    local start = require("upstash.kafka.server").start
    local options = { listen = "127.0.0.1:0", username = "u", password = "p", data = folder.name() }
    options.tls_cert, options.tls_key = place .. "/none.crt", place .. "/here.key"
    local handle, message = start(options)
    assert.is_nil(handle)
    assert.is_truthy(message:find("tls_cert", 1, true), message)
    options.tls_cert = place .. "/here.key"
    handle, message = start(options)
    assert.is_nil(handle)
    assert.is_truthy(message:find("tls_", 1, true), message)
    folder.remove(options.data)
  end)
end)
