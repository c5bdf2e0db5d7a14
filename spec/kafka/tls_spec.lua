-- The server as a client of brokers with TLS, and compressed batches.

local certificates = require "spec.support.certificates"
local folder = require "spec.support.folder"
local kafka_cluster = require "spec.support.kafka_cluster"
local shell = require "spec.support.shell"

local KEY_PASSWORD, WRONG = "key-Pa55word", "wrong-Pa55word"

-- A folder of certificates: "ours" is the CA of the broker and the client, "strange" an unknown CA.
local function make_certificates()
  local place = folder.make()
  for _, name in ipairs { "ours", "strange" } do certificates.self_signed(place, name) end
  local cert, key = certificates.issue(place, "ours", "broker", { host = "IP:127.0.0.1" })
  folder.write(place .. "/broker-store.pem", folder.read(key) .. folder.read(cert))
  certificates.issue(place, "ours", "client", { password = KEY_PASSWORD })
  folder.write(place .. "/password", KEY_PASSWORD .. "\n")
  folder.write(place .. "/wrong-password", WRONG .. "\n")
  return place
end

-- Properties for a broker that speaks this protocol with clients; `client_auth` is "required" or
-- "none".
local function tls_broker(place, protocol, client_auth)
  return {
    ["listener.security.protocol.map"] = ("CLIENT:%s,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"):format(protocol),
    ["listener.name.client.ssl.keystore.type"] = "PEM",
    ["listener.name.client.ssl.keystore.location"] = place .. "/broker-store.pem",
    ["listener.name.client.ssl.truststore.type"] = "PEM",
    ["listener.name.client.ssl.truststore.location"] = place .. "/ours.pem",
    ["listener.name.client.ssl.client.auth"] = client_auth,
  }
end

-- The first table with the changes of the second; false removes.
local function changed(base, changes)
  local all = {}
  for name, value in pairs(base) do all[name] = value end
  for name, value in pairs(changes or {}) do all[name] = value or nil end
  return all
end

-- Everything that a server prints and that others see of it.
local function all_that_shows(server)
  local command_line = folder.read(("/proc/%d/cmdline"):format(server.handle.pid))
  assert.is_true(#command_line > 0)
  return server.handle:errors() .. server.handle:output() .. command_line
end

-- Produce, consume with a group, commit and fetch.
local function check_calls(server)
  local client, topic, group = server:client(), server:topic(2), kafka_cluster.name "group"
  local values = {}
  assert(client:produce_many(topic, { { value = "a", partition = 0 }, { value = "b", partition = 1 } }))
  shell.eventually(30, function()
    for _, message in ipairs(client:consume(group, "i", topic, { auto_offset_reset = "earliest" }) or {}) do
      values[message.partition] = message.value
    end
    return values[0] and values[1]
  end)
  assert.same({ [0] = "a", [1] = "b" }, values)
  assert.is_true(client:commit(group, "i"))
  assert.equal(1, server:committed(group, topic, 1))
  assert.equal("b", assert(client:fetch(topic, 1, 0, { timeout = 5000 }))[1].value)
  assert.is_truthy(client:health())
  client:close()
end

-- How librdkafka says that it does not trust a certificate: its own text, or OpenSSL's.
local UNTRUSTED = { "could not be verified", "certificate verify failed" }

-- Whether the text has one of the causes.
local function names(text, causes)
  for _, cause in ipairs(type(causes) == "table" and causes or { causes }) do
    if text:find(cause) then return true end
  end
  return false
end

-- Health gives the cause, and every call is a 503 with the cause and a Retry-After. `cause` may be
-- a list, of which each text has one. Returns all texts.
local function check_refused(server, cause)
  local client, said = server:client { retries = 0 }, {}
  local topic = kafka_cluster.name "topic"
  shell.eventually(20, function()
    local healthy, message, details = client:health()
    assert.is_nil(healthy)
    assert.equal(503, details.status)
    said[1] = message
    return names(message, cause)
  end)
  local calls = {
    topics = function() return client:topics() end,
    produce = function() return client:produce(topic, "x") end,
    fetch = function() return client:fetch(topic, 0, 0) end,
    consume = function() return client:consume("g", "i", topic, { timeout = 5000 }) end,
  }
  for name, call in pairs(calls) do
    local last
    -- The latest attempt to connect may have met its time limit, on a busy machine.
    local named = pcall(shell.eventually, 60, function()
      local result, message, details = call()
      assert.is_nil(result, name)
      assert.equal(503, details.status, name .. ": " .. message)
      assert.is_true(details.retry_after ~= nil and details.retry_after >= 1, name)
      last = message
      return names(message, cause)
    end)
    assert.is_true(named, name .. ": " .. last)
    said[#said + 1] = last
  end
  client:close()
  return table.concat(said, "\n")
end

describe("a broker that requires a known client certificate", function()
  local place, cluster, good

  lazy_setup(function()
    place = make_certificates()
    cluster = kafka_cluster.start { properties = tls_broker(place, "SSL", "required") }
    good = {
      ["security.protocol"] = "ssl",
      ["ssl.ca.location"] = place .. "/ours.pem",
      ["ssl.certificate.location"] = place .. "/client.pem",
      ["ssl.key.location"] = place .. "/client.key",
    }
  end)

  lazy_teardown(function()
    cluster:remove()
    folder.remove(place)
  end)

  local servers = {} -- a test may start several

  after_each(function()
    for _, server in ipairs(servers) do server:stop() end
    servers = {}
  end)

  local function serve(changes, more)
    local server = cluster:serve(changed({
      properties = changed(good, changes), property_files = { ["ssl.key.password"] = place .. "/password" },
    }, more))
    servers[#servers + 1] = server
    return server
  end

  it("serves every call, and the key's password is never shown", function()
    local server = serve { debug = "conf,broker,security" }
    check_calls(server)
    local shown = all_that_shows(server)
    assert.is_truthy(shown:find("ssl.key.location", 1, true), "librdkafka shows what it was configured with")
    assert.is_nil(shown:find(KEY_PASSWORD, 1, true))
  end)

  local nobody = { ["ssl.certificate.location"] = false, ["ssl.key.location"] = false }
  local refused = {
    ["a server without a certificate"] = { nobody, "alert %a* ?certificate" },
    ["a server whose certificate the broker does not know"] = {
      { ["ssl.certificate.location"] = "strange.pem", ["ssl.key.location"] = "strange.key" }, "alert certificate",
    },
    ["a broker whose certificate the server does not know"] = {
      { ["ssl.ca.location"] = "strange.pem" }, UNTRUSTED,
    },
    ["a server that speaks no TLS"] = {
      { ["security.protocol"] = "plaintext" }, "incorrect security%.protocol configuration",
    },
  }
  for what, case in pairs(refused) do
    it("makes everything a 503 that says why: " .. what, function()
      local changes = {}
      for name, value in pairs(case[1]) do
        changes[name] = value and (name:find "location$" and place .. "/" .. value or value)
      end
      local server = serve(changes)
      local said = check_refused(server, case[2])
      assert.is_nil((said .. all_that_shows(server)):find(KEY_PASSWORD, 1, true))
    end)
  end

  it("is refused under a name that its certificate lacks, unless names are not checked", function()
    local elsewhere = { brokers = "localhost:" .. cluster.brokers:match ":(%d+)$" }
    check_refused(serve({ ["broker.address.family"] = "v4" }, elsewhere), UNTRUSTED)
    local server = serve({
      ["broker.address.family"] = "v4", ["ssl.endpoint.identification.algorithm"] = "none",
    }, elsewhere)
    check_calls(server)
  end)

  -- The error of a `serve` that ends at its start.
  local function start_fails(changes, password_file)
    local words = { "serve", "--listen", "127.0.0.1:0", "--username", "u", "--brokers", cluster.brokers }
    for name, value in pairs(changed(good, changes)) do
      words[#words + 1], words[#words + 2] = "--set", name .. "=" .. value
    end
    if password_file then
      words[#words + 1], words[#words + 2] = "--set-file", "ssl.key.password=" .. password_file
    end
    local status, out, err = shell.upstash_kafka(words, { environment = { UPSTASH_KAFKA_SERVER_PASSWORD = "p" } })
    assert.same({ 1, "" }, { status, out }, err)
    for _, secret in ipairs { KEY_PASSWORD, WRONG } do assert.is_nil(err:find(secret, 1, true)) end
    return err
  end

  it("is not contacted if the key cannot be read: the command names the property", function()
    local password, wrong, missing = place .. "/password", place .. "/wrong-password", place .. "/missing"
    local locked = "ssl%.key%.location failed: .*ssl%.key%.password is missing or wrong\n$"
    local other = { ["ssl.key.location"] = place .. "/strange.key" }
    assert.matches(locked, start_fails({}, wrong))
    assert.matches(locked, start_fails({}))
    assert.matches("ssl%.key%.location failed: .*mismatch", start_fails(other))
    assert.matches("ssl%.key%.password: .*/missing: No such file", start_fails({}, missing))
    for _, name in ipairs { "ssl.ca.location", "ssl.certificate.location", "ssl.key.location" } do
      assert.matches("properties: " .. name:gsub("%.", "%%.") .. ": No such file or directory\n$",
        start_fails({ [name] = missing }, password))
    end
  end)
end)

describe("a broker that requires a password over TLS", function()
  local place, cluster

  lazy_setup(function()
    place = make_certificates()
    cluster = kafka_cluster.start { acl = true, properties = tls_broker(place, "SASL_SSL", "none") }
  end)

  lazy_teardown(function()
    cluster:remove()
    folder.remove(place)
  end)

  local function serve(password, changes)
    folder.write(place .. "/sasl-password", password .. "\n")
    local server = cluster:serve {
      properties = changed({
        ["security.protocol"] = "sasl_ssl", ["ssl.ca.location"] = place .. "/ours.pem",
        ["sasl.mechanisms"] = "PLAIN", ["sasl.username"] = "admin",
      }, changes),
      property_files = { ["sasl.password"] = place .. "/sasl-password" },
    }
    finally(function() server:stop() end)
    return server
  end

  it("serves every call", function()
    local server = serve "admin-secret"
    check_calls(server)
    assert.is_nil(all_that_shows(server):find("admin-secret", 1, true))
  end)

  -- A call that requests the read-ahead sets the credentials again: they must be the same.
  it("accepts clients that log in again after reading much", function()
    local server = serve "admin-secret"
    local client, topic, group = server:client(), server:topic(1), kafka_cluster.name "group"
    local value, count, wave = ("x"):rep(1024), 4000, {}
    for i = 1, count // 4 do wave[i] = { value = value } end
    for _ = 1, 4 do assert(client:produce_many(topic, wave)) end
    local function read(from, upto)
      local at = from
      shell.eventually(30, function()
        for _, message in ipairs(client:consume(group, "i", topic, { auto_offset_reset = "earliest" }) or {}) do
          assert.equal(at, message.offset)
          at = at + 1
        end
        return at >= upto
      end)
    end
    local function fetched()
      local at = 0
      while at < count do
        local batch = client:fetch(topic, 0, at, { timeout = 5000 })
        if not batch or #batch == 0 then return false end
        at = at + #batch
      end
      return true
    end
    read(0, count)
    assert.is_true(fetched())
    cluster:term(1)
    cluster:restart(1)
    shell.eventually(30, function() return client:produce(topic, "after") end)
    read(count, count + 1)
    shell.eventually(30, fetched)
    client:close()
  end)

  it("refuses a wrong password, which is never shown", function()
    local server = serve(WRONG)
    local said = check_refused(server, "Invalid username or password")
    assert.is_nil((said .. all_that_shows(server)):find(WRONG, 1, true))
  end)

  it("gets no password if its certificate is not trusted", function()
    check_refused(serve("admin-secret", { ["ssl.ca.location"] = place .. "/strange.pem" }), UNTRUSTED)
  end)
end)

describe("compression.type", function()
  local cluster

  lazy_setup(function() cluster = kafka_cluster.shared() end)

  local COUNT = 20
  local function value(number) return ("%d "):format(number) .. ("text "):rep(200) end

  -- Produces and reads back through a server with this compression. Returns the topic.
  local function produce(codec)
    local server = cluster:serve { properties = { ["compression.type"] = codec } }
    local client, topic, messages = server:client(), server:topic(1), {}
    for number = 1, COUNT do messages[number] = { value = value(number) } end
    assert(client:produce_many(topic, messages))
    local consumed = shell.eventually(30, function()
      local list = client:consume(kafka_cluster.name "group", "i", topic,
        { auto_offset_reset = "earliest", timeout = 10000 })
      return list and #list == COUNT and list
    end)
    local fetched = assert(client:fetch(topic, 0, 0, { timeout = 5000 }))
    for number = 1, COUNT do
      assert.equal(value(number), consumed[number].value)
      assert.equal(value(number), fetched[number].value)
    end
    client:close()
    server:stop()
    return topic
  end

  -- What Kafka's own tool reads from a partition's log: the codec of every batch, and how many
  -- records hold these values.
  local function stored(topic)
    local codecs, count = {}, 0
    local dump = cluster:java {
      "kafka.tools.DumpLogSegments", "--print-data-log", "--files",
      ("%s/1/data/%s-0/%020d.log"):format(cluster.run, topic, 0),
    }
    for codec in dump:gmatch "compresscodec: (%w+)" do codecs[codec] = true end
    for number in dump:gmatch "payload: (%d+) text" do
      count = count + 1
      assert.equal(count, tonumber(number))
    end
    return codecs, count
  end

  for _, codec in ipairs { "none", "gzip", "snappy", "lz4", "zstd" } do
    it(codec .. " is what Kafka stores, and both sides read it", function()
      local codecs, count = stored(produce(codec))
      assert.same({ [codec] = true }, codecs)
      assert.equal(COUNT, count)
    end)
  end
end)
