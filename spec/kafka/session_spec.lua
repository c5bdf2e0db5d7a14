-- Sessions that a broker does not grant.

local kafka_cluster = require "spec.support.kafka_cluster"

describe("a session that is longer than the cluster grants", function()
  local cluster, server, client, topic

  lazy_setup(function()
    cluster = kafka_cluster.start { properties = { ["group.max.session.timeout.ms"] = 30000 } }
    server = cluster:serve()
    client = server:client { retries = 0 }
    topic = kafka_cluster.name "topic"
    assert(client:produce(topic, "hello"))
  end)

  lazy_teardown(function()
    if client then client:close() end
    if server then server:stop() end
    if cluster then cluster:remove() end
  end)

  local function consume(group, session_timeout)
    return client:consume(group, "one", topic, { auto_offset_reset = "earliest", timeout = 20000,
      session_timeout = session_timeout })
  end

  it("is refused by the name of its header", function()
    local group = kafka_cluster.name "group"
    local _, message, details = consume(group, 30001)
    assert.matches("Kafka-Session-Timeout-Ms", message, 1, true)
    assert.same({ "bad_request", 400 }, { details.code, details.status })
    assert.equal("hello", assert(consume(group, 30000))[1].value)
  end)
end)
