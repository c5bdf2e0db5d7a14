-- Idempotency keys in front of Kafka: a server knows its own keys, and learns those of the others
-- through a topic.

local cjson = require "cjson"
local free_port = require "spec.support.free_port"
local http = require "spec.support.http"
local kafka_cluster = require "spec.support.kafka_cluster"
local shell = require "spec.support.shell"

local KEY_TOPIC = "__upstash_kafka_keys"
local KEYS = 10

describe("idempotency keys on Kafka", function()
  local cluster, servers

  local function start(window)
    return cluster:serve {
      listen = "127.0.0.1:" .. free_port(), password = "secret", partitions = 3, idempotency_window = window,
    }
  end

  setup(function()
    cluster = kafka_cluster.shared()
    servers = { start(), start() }
  end)

  teardown(function()
    for _, server in ipairs(servers) do server:stop() end
  end)

  local function produce(server, topic, key, body)
    local client = http.client(server.url, server.username, server.password)
    local response = client:request("POST", "/produce/" .. topic,
      { body = body, headers = { ["Idempotency-Key"] = key }, timeout = 60 })
    client:close()
    return response
  end

  local function stored(response)
    assert.equal(200, response.status, response.body)
    return response.headers["idempotent-replayed"] == "true", response.body
  end

  -- How many messages the topic has.
  local function count(topic)
    local client, sum = servers[1]:client(), 0
    for partition = 0, 2 do
      sum = sum + assert(client:offsets("latest", { topic = topic, partition = partition }))[1].offset
    end
    client:close()
    return sum
  end

  -- Two messages, of which the first is in one of three partitions. A repeat has the same bytes.
  local function body_of(index)
    return ('[{"key":"k%d","value":"first %d"},{"value":"second %d","partition":2}]'):format(index, index, index)
  end

  -- Not the name of another topic, which other tests use as a key.
  local function key_of(topic, index)
    return topic .. "-key-" .. index
  end

  local function produce_all(server, topic)
    local answers = {}
    for index = 1, KEYS do
      local replayed, answer = stored(produce(server, topic, key_of(topic, index), body_of(index)))
      assert.is_false(replayed)
      answers[index] = answer
    end
    return answers
  end

  local function check_replays(server, topic, answers)
    for index = 1, KEYS do
      local replayed, answer = stored(produce(server, topic, key_of(topic, index), body_of(index)))
      assert.is_true(replayed)
      assert.equal(answers[index], answer)
    end
    assert.equal(2 * KEYS, count(topic))
  end

  it("stores a repeat once at the same server", function()
    local topic = kafka_cluster.name "topic"
    check_replays(servers[1], topic, produce_all(servers[1], topic))
  end)

  it("refuses a key of another request, and appends nothing", function()
    local topic = kafka_cluster.name "topic"
    stored(produce(servers[1], topic, topic, body_of(1)))
    local response = produce(servers[1], topic, topic, body_of(2))
    assert.equal(422, response.status)
    assert.truthy(response.body:find("the idempotency key belongs to another request", 1, true), response.body)
    assert.equal(2, count(topic))
  end)

  it("knows at a server that starts later what another one stored before it was killed", function()
    local topic, killed = kafka_cluster.name "topic", start()
    local answers = produce_all(killed, topic)
    -- Its rows are shared once the server that follows them knows the last one. A repeat that came
    -- before it would be stored again, so another key asks.
    shell.eventually(60, function()
      local probe = kafka_cluster.name "probe"
      stored(produce(killed, topic .. "-probe", probe, body_of(0)))
      return (stored(produce(servers[1], topic .. "-probe", probe, body_of(0))))
    end)
    killed.handle:kill()
    local fresh = start()
    check_replays(fresh, topic, answers)
    fresh:stop()
    check_replays(servers[1], topic, answers)
  end)

  it("gives the first answer to repeats that come at once", function()
    local topic, pendings = kafka_cluster.name "topic", {}
    local client = http.client(servers[2].url, servers[2].username, servers[2].password)
    for index = 1, 20 do
      pendings[index] = client:start("POST", "/produce/" .. topic,
        { body = body_of(1), headers = { ["Idempotency-Key"] = topic } })
    end
    http.collect(pendings)
    client:close()
    local first, replays = nil, 0
    for index = 1, 20 do
      local replayed, answer = stored(pendings[index].response)
      first = first or answer
      assert.equal(first, answer)
      replays = replays + (replayed and 1 or 0)
    end
    assert.equal(19, replays)
    assert.equal(2, count(topic))
  end)

  it("keeps its topic for the window, hidden from clients", function()
    local text = cluster:call { "configs", "--describe", "--all", "--topic", KEY_TOPIC }
    assert.truthy(text:find("cleanup.policy=compact,delete", 1, true), text)
    assert.truthy(text:find("retention.ms=600000", 1, true), text)
    local client = servers[1]:client()
    for name in pairs(assert(client:topics())) do assert.not_equal(KEY_TOPIC, name) end
    assert.is_nil((client:produce(KEY_TOPIC, "x")))
    client:close()
  end)

  it("forgets a key after the window, its own and another server's", function()
    local topic, brief = kafka_cluster.name "topic", start(1)
    local first = select(2, stored(produce(brief, topic, topic, body_of(1))))
    shell.eventually(60, function()
      return select(2, stored(produce(brief, topic, topic, body_of(1)))) ~= first
    end)
    assert.equal(4, count(topic))
    local fresh = start(1)
    shell.eventually(60, function()
      local key = kafka_cluster.name "key"
      stored(produce(brief, topic, key, body_of(1)))
      require("upstash.kafka.core").sleep(1100)
      return not stored(produce(fresh, topic, key, body_of(1)))
    end)
    brief:stop()
    fresh:stop()
  end)

  it("ignores keys without a window", function()
    local topic, without = kafka_cluster.name "topic", start(0)
    for _ = 1, 2 do assert.is_false((stored(produce(without, topic, topic, body_of(1))))) end
    assert.equal(4, count(topic))
    without:stop()
  end)

  it("says nothing in health while keys are shared", function()
    local client = http.client(servers[1].url, servers[1].username, servers[1].password)
    local answer = cjson.decode(client:request("GET", "/health", { timeout = 60 }).body)
    client:close()
    assert.same({ status = "ok", engine = "kafka" }, answer)
  end)
end)
