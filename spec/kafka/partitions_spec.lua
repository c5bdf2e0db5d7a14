-- The number of partitions of a topic that a consume creates, and of one that grows while it is
-- consumed; and topics that are created again.

local core = require "upstash.kafka.core"
local kafka_cluster = require "spec.support.kafka_cluster"
local shell = require "spec.support.shell"

local PATIENCE = 60 -- seconds; new partitions are noticed within five, and a group takes its time

local cluster, server, client

setup(function()
  cluster = kafka_cluster.shared()
  server = cluster:serve()
  client = server:client()
end)

teardown(function()
  if client then client:close() end
  if server then server:stop() end
end)

describe("B13: partitions that are added to a topic", function()
  local function consume(group, topic)
    return client:consume(group, "one", topic, { auto_offset_reset = "earliest", timeout = 500 }) or {}
  end

  it("are read by the instance that consumes it", function()
    local topic, group = kafka_cluster.name "topic", kafka_cluster.name "group"
    cluster:topics { "--create", "--topic", topic, "--partitions", "1" }
    assert(client:produce(topic, "0", { partition = 0 }))
    shell.eventually(PATIENCE, function() return #consume(group, topic) > 0 end)
    cluster:topics { "--alter", "--topic", topic, "--partitions", "3" }
    for partition = 1, 2 do
      shell.eventually(PATIENCE, function()
        return client:produce(topic, tostring(partition), { partition = partition })
      end)
    end
    local seen, count = {}, 0
    shell.eventually(PATIENCE, function()
      for _, message in ipairs(consume(group, topic)) do
        seen[message.partition], count = message.value, count + 1
      end
      return seen[1] and seen[2]
    end)
    assert.same({ "1", "2" }, seen)
    assert.equal(2, count)
  end)

  it("are produced to, or refused with a retriable error", function()
    local topic, direct = kafka_cluster.name "topic", server:client { retries = 0 }
    cluster:topics { "--create", "--topic", topic, "--partitions", "1" }
    assert(direct:produce(topic, "0", { partition = 0 }))
    cluster:topics { "--alter", "--topic", topic, "--partitions", "2" }
    shell.eventually(PATIENCE, function()
      local stored, message, details = direct:produce(topic, "1", { partition = 1 })
      if stored then return true end
      -- Not all brokers may know it yet.
      assert.is_true(details.status == 503 or message:find("no partition", 1, true) ~= nil, message)
    end)
    direct:close()
  end)
end)

describe("B7: a consume of a topic that does not exist", function()
  local function consume(options)
    local own = cluster:serve(options)
    local direct, topic = own:client { retries = 0 }, kafka_cluster.name "fresh"
    finally(function()
      direct:close()
      own:stop()
    end)
    local messages, message, details = direct:consume(kafka_cluster.name "group", "one", topic, { timeout = 1 })
    return messages, message, details, topic
  end

  it("creates it with the server's number of partitions", function()
    local messages, message, _, topic = consume { partitions = 3 }
    assert.same({}, messages, message)
    shell.eventually(PATIENCE, function() return assert(client:topics())[topic] == 3 end)
  end)

  it("does not create it if automatic creation is off", function()
    local messages, message, details, topic = consume { auto_create_topics = false }
    assert.is_nil(messages)
    assert.equal(("topic %q does not exist"):format(topic), message)
    assert.equal("not_found", details.code)
    assert.is_nil(assert(client:topics())[topic])
  end)
end)

-- Connections to the cluster look at their topics twice a second here, and learn that one is
-- missing.
describe("a topic that was created again", function()
  local NOTICED = 1500 -- milliseconds

  it("exists", function()
    local own = cluster:serve { auto_create_topics = false,
      properties = { ["topic.metadata.refresh.interval.ms"] = 500, ["topic.metadata.propagation.max.ms"] = 0 } }
    local direct, topic = own:client { retries = 0 }, kafka_cluster.name "topic"
    finally(function()
      direct:close()
      own:stop()
    end)
    local group = kafka_cluster.name "group"
    -- A busy cluster may make anything wait, but a topic that is there is not missing.
    local function insist(method, ...)
      local arguments = { ... }
      return shell.eventually(PATIENCE, function()
        local result, message, details = direct[method](direct, (table.unpack or unpack)(arguments))
        assert(result or details.code ~= "not_found", message)
        return result
      end)
    end
    for round = 1, 2 do
      insist("create_topic", topic)
      insist("produce", topic, "message " .. round)
      insist("offsets", "latest", { topic = topic, partition = 0 })
      insist("fetch", topic, 0, 0, { timeout = 1000 })
      local seen
      shell.eventually(PATIENCE, function()
        local messages = insist("consume", group, "one", topic, { auto_offset_reset = "earliest", timeout = 500 })
        seen = #messages > 0 and messages[#messages].value or seen
        return seen == "message " .. round
      end)
      assert(direct:delete_topic(topic))
      core.sleep(NOTICED)
    end
  end)
end)
