-- What a cluster's own settings do not allow.

local kafka_cluster = require "spec.support.kafka_cluster"

local cluster, server, client, topic

setup(function()
  cluster = kafka_cluster.start {
    properties = { ["group.max.session.timeout.ms"] = 30000, ["default.replication.factor"] = 2 },
  }
  server = cluster:serve()
  client = server:client { retries = 0 }
  topic = kafka_cluster.name "topic"
  cluster:topics { "--create", "--topic", topic, "--partitions", "1", "--replication-factor", "1" }
end)

teardown(function()
  if client then client:close() end
  if server then server:stop() end
  if cluster then cluster:remove() end
end)

describe("a session that is longer than the cluster grants", function()
  local function consume(group, session_timeout)
    return client:consume(group, "one", topic, { auto_offset_reset = "earliest", timeout = 20000,
      session_timeout = session_timeout })
  end

  it("is refused by the name of its header", function()
    assert(client:produce(topic, "hello"))
    local group = kafka_cluster.name "group"
    local _, message, details = consume(group, 30001)
    assert.matches("Kafka-Session-Timeout-Ms", message, 1, true)
    assert.same({ "bad_request", 400 }, { details.code, details.status })
    assert.equal("hello", assert(consume(group, 30000))[1].value)
  end)
end)

describe("a new topic for which too few brokers are there", function()
  local function unavailable(name, _, message, details)
    assert.is_truthy(message:find('topic "' .. name .. '"', 1, true), message)
    assert.same({ "unavailable", 503, true }, { details.code, details.status, details.retriable })
    assert.is_true(details.retry_after > 0)
  end

  it("is the cluster's fault, not the client's", function()
    local created, produced = kafka_cluster.name "topic", kafka_cluster.name "topic"
    unavailable(created, client:create_topic(created, { partitions = 1 }))
    unavailable(produced, client:produce(produced, "hello"))
    local topics = assert(client:topics())
    assert.same({ 1 }, { topics[topic], topics[created], topics[produced] })
  end)
end)
