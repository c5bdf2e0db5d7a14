-- Several servers on one Kafka cluster: an instance is whose server it spoke to last, and nothing is lost.

local cjson = require "cjson"
local http = require "spec.support.http"
local folder = require "spec.support.folder"
local kafka_cluster = require "spec.support.kafka_cluster"
local nginx = require "spec.support.nginx"
local shell = require "spec.support.shell"

local cluster, servers

local function start_server()
  return cluster:serve { listen = "127.0.0.1:" .. nginx.free_port(), password = "secret" }
end

-- One request, to one server, with no second attempt.
local function post(number, path, body, headers)
  local server = servers[number]
  local client = http.client(server.url, server.username, server.password)
  local response = client:request("POST", path, {
    body = body and cjson.encode(body), headers = headers, timeout = 25,
  })
  client:close()
  return response
end

local function ok(response)
  assert.equal(200, response.status, response.body)
  return cjson.decode(response.body)
end

-- What an instance gets at a server, from the first message on where nothing is committed.
local function consume(number, group, instance, topic, timeout, max_messages)
  local headers = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Enable-Auto-Commit"] = "false" }
  local body = { topic = topic, timeout = timeout or 20000, max_messages = max_messages }
  local values = {}
  for index, message in ipairs(ok(post(number, ("/consume/%s/%s"):format(group, instance), body, headers))) do
    values[index] = message.value
  end
  return values
end

local function commit(number, group, instance, topic, offset)
  return post(number, ("/commit/%s/%s"):format(group, instance),
    offset and { topic = topic, partition = 0, offset = offset } or nil)
end

local function delete(number, group, instance)
  return post(number, ("/delete-consumer/%s/%s"):format(group, instance))
end

-- How often the broker has begun to share out a group anew.
local function rebalances(group)
  local _, count = cluster:call({ "logs", 1 }):gsub("Preparing to rebalance group " .. group:gsub("%-", "%%-") .. " ", "")
  return count
end

describe("several servers on one Kafka cluster:", function()
  setup(function()
    cluster = kafka_cluster.shared()
    servers = { start_server(), start_server(), start_server() }
  end)

  teardown(function()
    for _, server in ipairs(servers or {}) do server:stop() end
  end)

  it("any of them consumes, commits and deletes for an instance that another has", function()
    local topic, group = servers[1]:topic(1, 3), kafka_cluster.name "group"
    assert.same({ "1" }, consume(1, group, "one", topic, nil, 1))
    ok(commit(2, group, "one", topic, 1))
    assert.same({ "2" }, consume(3, group, "one", topic, nil, 1))
    ok(commit(1, group, "one", topic, 2))
    assert.same({ "3" }, consume(2, group, "one", topic, nil, 1))
    assert.equal(2, servers[3]:committed(group, topic))
    ok(delete(1, group, "one"))
    for number = 1, 3 do
      assert.equal(404, delete(number, group, "one").status)
      assert.equal(404, commit(number, group, "one", topic, 1).status)
    end
  end)

  it("what was consumed is committed by the one that knows it, and the others say so", function()
    local topic, group = servers[1]:topic(1, 3), kafka_cluster.name "group"
    assert.same({ "1", "2", "3" }, consume(1, group, "one", topic))
    local refused = commit(2, group, "one")
    assert.equal(503, refused.status, refused.body)
    assert.is_truthy(refused.headers["retry-after"])
    ok(commit(1, group, "one"))
    assert.equal(3, servers[2]:committed(group, topic))
  end)

  it("the one that lost an instance does not go on where it was", function()
    local topic, group = servers[1]:topic(1, 3), kafka_cluster.name "group"
    assert.same({ "1" }, consume(1, group, "one", topic, nil, 1)) -- and has read ahead what follows
    assert.same({ "1" }, consume(2, group, "one", topic, nil, 1))
    assert.same({ "1" }, consume(1, group, "one", topic, nil, 1))
    ok(delete(3, group, "one"))
    assert.same({ "1" }, consume(1, group, "one", topic, nil, 1))
    ok(delete(1, group, "one"))
  end)

  it("another instance's takeovers are no rebalance for the group", function()
    local topic, group = servers[1]:topic(2, 0), kafka_cluster.name "group"
    consume(2, group, "stays", topic, 1000)
    consume(1, group, "moves", topic, 1000)
    shell.eventually(30, function()
      consume(2, group, "stays", topic, 100)
      consume(1, group, "moves", topic, 100)
      local client = servers[1]:client()
      local held = 0
      for _, each in ipairs(assert(client:consumers())) do
        for _, entry in ipairs(each.name == group and each.instances[1].topics or {}) do held = held + #entry.partitions end
      end
      client:close()
      return held == 1
    end)
    local before = rebalances(group)
    assert.is_true(before > 0)
    for turn = 1, 6 do
      servers[2]:fill(topic, turn * 2 - 1, turn * 2, 2)
      assert.equal(1, #consume(turn % 2 * 2 + 1, group, "moves", topic, nil, 1))
      consume(2, group, "stays", topic, 1000)
    end
    assert.equal(before, rebalances(group))
  end)
end)
