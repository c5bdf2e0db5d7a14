-- The client with a batch in which the topic refuses a message because of its size.

local kafka_cluster = require "spec.support.kafka_cluster"

local cluster, server, client, topic

setup(function()
  cluster = kafka_cluster.shared()
  server = cluster:serve()
  client = server:client { retries = 0 }
  topic = kafka_cluster.name "narrow"
  cluster:topics { "--create", "--topic", topic, "--partitions", "2", "--config", "max.message.bytes=1000" }
end)

teardown(function()
  client:close()
  server:stop()
end)

local LARGE = ("x"):rep(3000)

-- The values of a partition, in order.
local function values(partition)
  local list = {}
  for message in client:records { topic = topic, partition = partition, to = "latest" } do
    list[#list + 1] = message.value
  end
  return list
end

describe("a message that is too large for its topic", function()
  for partition = 0, 1 do
    it("is the only one refused, with its neighbours in partition " .. partition, function()
      local list, message, details = client:produce_many(topic, {
        { value = "a", partition = 0 }, { value = LARGE, partition = partition }, { value = "c", partition = 0 },
      })
      assert.is_nil(list)
      assert.matches("^messages%[2%]: topic \"" .. topic:gsub("%p", "%%%0") .. "\" partition " .. partition, message)
      assert.matches("1 of 3 messages failed, the others are stored$", message)
      assert.same({ "too_large", 413, false }, { details.code, details.status, details.retriable })
      assert.equal(3, #details.results)
      assert.equal("too_large", details.results[2].code)
      assert.equal(details.results[1].offset + 1, details.results[3].offset)
      assert.same({ "a", "c" }, { table.unpack(values(0), details.results[1].offset + 1) })
    end)
  end

  it("gets no results if every message is like that", function()
    local _, message, details = client:produce_many(topic, { { value = LARGE }, { value = LARGE .. "y" } })
    assert.matches("all of 2 messages failed$", message)
    assert.equal("too_large", details.code)
    assert.is_nil(details.results)
  end)
end)

describe("messages that are too large together", function()
  it("are stored one by one, in order", function()
    local messages, expected = {}, {}
    for index = 1, 50 do
      expected[index] = ("%d:%s"):format(index, ("x"):rep(400))
      messages[index] = { value = expected[index], partition = 1 }
    end
    local list = assert(client:produce_many(topic, messages))
    for index = 2, 50 do assert.equal(list[1].offset + index - 1, list[index].offset) end
    assert.same(expected, { table.unpack(values(1), list[1].offset + 1) })
  end)
end)
