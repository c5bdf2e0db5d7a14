-- Read-ahead from a topic that holds many times more than the limit.

local core = require "upstash.kafka.core"
local kafka_cluster = require "spec.support.kafka_cluster"

-- If nobody requested more when the read-ahead is consumed, librdkafka would look only once a
-- second, that is once per MiB. Even a slow machine is sometimes faster than that.
local SOON = 15000 -- milliseconds; it takes less than a thousand
local ATTEMPTS = 5
local WAVES = 32 -- of a thousand messages of 1 KiB

describe("a topic that holds more than is read ahead", function()
  local server, client, topic

  lazy_setup(function()
    server = kafka_cluster.shared():serve()
    client, topic = server:client(), server:topic(1)
    local wave = {}
    for index = 1, 1000 do wave[index] = { value = ("x"):rep(1024) } end
    for _ = 1, WAVES do assert(client:produce_many(topic, wave)) end
  end)

  lazy_teardown(function()
    client:close()
    server:stop()
  end)

  -- Takes batches until everything is read, each offset once and in order. Returns how long that
  -- took.
  local function read_all(next_batch)
    local began, at = nil, 0
    while at < WAVES * 1000 do
      for _, message in ipairs(next_batch(at) or {}) do
        began = began or core.now() -- after the join
        assert.equal(at, message.offset)
        at = at + 1
      end
    end
    return core.now() - began
  end

  local function is_soon(attempt)
    local took = {}
    for index = 1, ATTEMPTS do
      took[index] = attempt()
      if took[index] < SOON then return end
    end
    error(("it took %s ms"):format(table.concat(took, ", ")))
  end

  it("is consumed without a pause", function()
    is_soon(function()
      local group = kafka_cluster.name "group"
      local took = read_all(function()
        return client:consume(group, "one", topic, { auto_offset_reset = "earliest", timeout = 5000 })
      end)
      client:delete_consumer(group, "one")
      return took
    end)
  end)

  it("is fetched without a pause", function()
    is_soon(function()
      return read_all(function(at) return client:fetch(topic, 0, at, { timeout = 5000 }) end)
    end)
  end)
end)
