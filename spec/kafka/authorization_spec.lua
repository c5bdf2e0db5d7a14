-- The server as a client of a cluster that requires a password and grants nothing by default.

local folder = require "spec.support.folder"
local kafka_cluster = require "spec.support.kafka_cluster"
local shell = require "spec.support.shell"

local SECRETS = { admin = "admin-secret", limited = "limited-secret" }
local WRONG = "wrong-Pa55word"

describe("authorization:", function()
  local cluster, place, admin, limited, admin_client, client
  local files = 0

  -- A server that logs in as this user, with this password.
  local function serve(user, password, more)
    files = files + 1
    local file = ("%s/password-%d"):format(place, files)
    folder.write(file, password .. "\n")
    local properties = {
      ["security.protocol"] = "sasl_plaintext", ["sasl.mechanisms"] = "PLAIN", ["sasl.username"] = user,
    }
    for name, value in pairs(more or {}) do properties[name] = value end
    return cluster:serve { properties = properties, property_files = { ["sasl.password"] = file } }
  end

  lazy_setup(function()
    place = folder.make()
    cluster = kafka_cluster.start { acl = true }
    admin, limited = serve("admin", SECRETS.admin), serve("limited", SECRETS.limited)
    admin_client, client = admin:client(), limited:client { retries = 0 }
  end)

  lazy_teardown(function()
    for _, each in ipairs { admin_client, client } do each:close() end
    for _, each in ipairs { admin, limited } do each:stop() end
    cluster:remove()
    folder.remove(place)
  end)

  local function grant(...)
    cluster:acls { "--add", "--allow-principal", "User:limited", ... }
  end

  -- Every call of the API, by name, on an existing topic and a group.
  local function calls_on(topic, group)
    local at = { topic = topic, partition = 0 }
    return {
      produce = function(c) return c:produce(topic, "x") end,
      produce_many = function(c) return c:produce_many { { topic = topic, value = "x" } } end,
      webhook = function(c) return c:webhook(topic, "x") end,
      fetch = function(c) return c:fetch(topic, 0, 0, { timeout = 5000 }) end,
      offsets = function(c) return c:offsets("latest", at) end,
      consume = function(c)
        return c:consume(group, "i", topic, { auto_offset_reset = "earliest", timeout = 10000 })
      end,
      commit = function(c) return c:commit(group, "i", { topic = topic, partition = 0, offset = 1 }) end,
      committed = function(c) return c:committed(group, "i", at) end,
      delete_topic = function(c) return c:delete_topic(topic) end,
    }
  end

  local function forbidden(name, message, details, named)
    assert.is_table(details, name .. " was permitted")
    assert.equal(403, details.status, ("%s: %s"):format(name, message))
    assert.is_truthy(message:find('"' .. named .. '"', 1, true), name .. " names something else: " .. message)
  end

  it("without permission each endpoint is a 403 that names the topic", function()
    local topic, group = admin:topic(1, 3), kafka_cluster.name "group"
    for name, call in pairs(calls_on(topic, group)) do
      local _, message, details = call(client)
      forbidden(name, message, details, topic)
    end
    local new = kafka_cluster.name "new"
    local _, message, details = client:create_topic(new, { partitions = 1 })
    forbidden("create_topic", message, details, new)
    _, message, details = client:produce(new, "creates it")
    forbidden("produce", message, details, new)
    assert.is_nil(assert(admin_client:topics())[new])
    assert.equal(3, admin_client:offsets("latest", { topic = topic, partition = 0 })[1].offset)
  end)

  it("/topics lists the topics that may be described, and health is ok", function()
    local shown, hidden = admin:topic(2), admin:topic(1)
    grant("--operation", "Describe", "--topic", shown)
    local topics = shell.eventually(10, function()
      local topics = assert(client:topics())
      return topics[shown] and topics
    end)
    assert.equal(2, topics[shown])
    assert.is_nil(topics[hidden])
    assert.is_truthy(client:health())
  end)

  it("permission to describe a topic allows offsets, and neither writing nor reading", function()
    local topic, group = admin:topic(1, 3), kafka_cluster.name "group"
    grant("--operation", "Describe", "--topic", topic)
    local calls = calls_on(topic, group)
    shell.eventually(10, function() return calls.offsets(client) end)
    assert.equal(3, calls.offsets(client)[1].offset)
    for _, name in ipairs { "produce", "produce_many", "webhook", "fetch", "delete_topic" } do
      local _, message, details = calls[name](client)
      forbidden(name, message, details, topic)
    end
    for _, name in ipairs { "consume", "committed" } do
      local _, message, details = calls[name](client)
      forbidden(name, message, details, group)
    end
  end)

  it("permission to write a topic allows producing to it, and to no other in the same request", function()
    local topic, other = admin:topic(1), admin:topic(1)
    grant("--operation", "Write", "--topic", topic)
    local calls = calls_on(topic)
    shell.eventually(10, function() return calls.produce(client) end)
    assert(calls.produce_many(client))
    assert(calls.webhook(client))
    local _, message, details = client:produce_many { { topic = topic, value = "x" }, { topic = other, value = "x" } }
    forbidden("produce_many", message, details, other)
    _, message, details = calls.fetch(client)
    forbidden("fetch", message, details, topic)
    assert.equal(0, admin_client:offsets("latest", { topic = other, partition = 0 })[1].offset)
  end)

  it("permission to read a topic allows fetching it, but not consuming without the group", function()
    local topic, group = admin:topic(1, 3), kafka_cluster.name "group"
    grant("--operation", "Read", "--topic", topic)
    local calls = calls_on(topic, group)
    shell.eventually(10, function() return calls.fetch(client) end)
    assert.equal(3, #calls.fetch(client))
    for _, name in ipairs { "consume", "committed" } do
      local _, message, details = calls[name](client)
      forbidden(name, message, details, group)
    end
    grant("--operation", "Read", "--group", group)
    local messages = shell.eventually(20, function()
      local some = calls.consume(client)
      return some and #some > 0 and some
    end)
    assert.equal("1", messages[1].value)
    assert.is_true(calls.commit(client))
    assert.equal(1, calls.committed(client)[1].offset)
    assert.is_true(client:delete_consumer(group, "i"))
  end)

  it("permission for the group alone allows no consuming, and a commit names the topic", function()
    local topic, group = admin:topic(1, 3), kafka_cluster.name "group"
    grant("--operation", "Read", "--group", group)
    grant("--operation", "Describe", "--topic", topic)
    local calls = calls_on(topic, group)
    shell.eventually(10, function() return calls.committed(client) end)
    local _, message, details = calls.consume(client)
    forbidden("consume", message, details, topic)
    -- An instance exists only after a successful consume, so it first reads another topic.
    local readable = admin:topic(1, 1)
    grant("--operation", "Read", "--topic", readable)
    shell.eventually(20, function() return calls_on(readable, group).consume(client) end)
    _, message, details = calls.commit(client)
    forbidden("commit", message, details, topic)
  end)

  it("permission to create and delete topics allows both", function()
    local topic = kafka_cluster.name "made"
    grant("--operation", "Create", "--operation", "Delete", "--topic", topic)
    shell.eventually(10, function() return client:create_topic(topic, { partitions = 2 }) end)
    assert.equal(2, assert(admin_client:topics())[topic])
    assert.is_true(client:delete_topic(topic))
  end)

  it("a wrong password is a 503 everywhere, which says so and never shows the password", function()
    local topic, group = admin:topic(1, 3), kafka_cluster.name "group"
    local server = serve("limited", WRONG, { log_level = 4 })
    finally(function() server:stop() end)
    local stranger, answers = server:client { retries = 0 }, {}
    local message, details
    shell.eventually(20, function()
      local _
      _, message, details = stranger:health()
      assert.equal(503, details.status)
      return message:find("Invalid username or password", 1, true)
    end)
    local calls = calls_on(topic, group)
    calls.topics = function(c) return c:topics() end
    calls.create_topic = function(c) return c:create_topic(kafka_cluster.name "new", { partitions = 1 }) end
    calls.commit = function() return nil, message, details end -- there can be no instance
    for name, call in pairs(calls) do
      local _
      _, message, details = call(stranger)
      assert.is_table(details, name)
      assert.equal(503, details.status, name .. ": " .. message)
      assert.is_true(details.retry_after == nil or details.retry_after >= 1, name)
      answers[#answers + 1] = message
    end
    stranger:close()
    local log = server.handle:errors()
    assert.is_truthy(log:find("Invalid username or password", 1, true), log)
    local shown = table.concat(answers, "\n") .. log .. server.handle:output()
      .. folder.read(("/proc/%d/cmdline"):format(server.handle.pid))
    assert.is_nil(shown:find(WRONG, 1, true))
  end)
end)
