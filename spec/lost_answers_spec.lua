-- Loops, calls by hand and produces whose answers are lost, against a real server: nothing is lost,
-- and nothing comes twice.

local faulty_proxy = require "spec.support.faulty_proxy"
local kafka = require "upstash.kafka"
local support = require "spec.support.server"

local function values(list)
  local texts = {}
  for index, message in ipairs(list) do texts[index] = message.value end
  return table.concat(texts, " ")
end

local function numbers(first, last)
  local texts = {}
  for number = first, last do texts[#texts + 1] = tostring(number) end
  return table.concat(texts, " ")
end

describe("when answers are lost,", function()
  local server, client, proxy, group

  setup(function() server = support.start() end)
  teardown(function() server:stop() end)
  before_each(function() group = support.name "group" end)
  after_each(function()
    if client then client:close() end
    if proxy then proxy.stop() end
    client, proxy = nil, nil
  end)

  local function through(more, ...)
    proxy = faulty_proxy.start(server.url, ...)
    client = kafka.new(server:access { url = proxy.url, retries = more.retries or 0, retry_delay = 1,
      idempotent = more.idempotent })
    return client
  end

  -- How many requests the proxy has seen whose path begins so.
  local function requests(prefix)
    local count = 0
    for path in proxy.log():gmatch "(/[^\t\n]*)\t" do
      if path:sub(1, #prefix) == prefix then count = count + 1 end
    end
    return count
  end

  local function options(topic, more)
    local all = { group = group, instance = "one", topic = topic, from = "earliest", idle = 60000 }
    for key, value in pairs(more or {}) do all[key] = value end
    return all
  end

  local function collect(given, body)
    local list = {}
    for message in client:messages(given) do
      list[#list + 1] = message
      if body then body(#list) end
    end
    return list
  end

  describe("a loop", function()
    it("makes one request per batch, and the poll that finds nothing commits the last one", function()
      local topic = server:topic(2, 60)
      through {}
      assert.equal(60, #collect(options(topic, { max_messages = 10, idle = 300, timeout = 300 })))
      assert.equal(7, requests "/consume/")
      assert.equal(0, requests "/commit/")
      assert.equal(2, requests "/delete-consumer/")
      assert.equal(30, server:committed(group, topic, 0))
      assert.equal(30, server:committed(group, topic, 1))
    end)

    for _, fault in ipairs { "lose", "cut", "cut@20", "cut@200", "refuse" } do
      it("gets the same batches again, and each message once: " .. fault, function()
        local topic, rules = server:topic(1, 40), {}
        for number = 2, 10 do rules[#rules + 1] = ("%s /consume/ %d"):format(fault, number) end
        through({}, unpack and unpack(rules) or table.unpack(rules)) -- luacheck: compat
        assert.equal(numbers(1, 40), values(collect(options(topic, { max_messages = 5, limit = 40 }))))
        assert.equal(40, server:committed(group, topic))
        assert.equal(2, requests "/delete-consumer/") -- the instance lived on
      end)
    end

    it("A20: that starts again under its name gets the unfinished messages again", function()
      local topic = server:topic(1, 6)
      through {}
      local next_message, loop = client:messages(options(topic, { max_messages = 3 }))
      for _ = 1, 5 do next_message(loop) end -- and the process dies
      assert.equal(numbers(4, 6), values(collect(options(topic, { limit = 3 }))))
    end)

    it("repeats nothing if the server is restarted before, between and after its batches", function()
      local own = support.start()
      local port = own.url:match ":(%d+)$"
      local topic = own:topic(1, 9)
      client = own:client { retries = 0, retry_delay = 1 }
      local list = collect(options(topic, { max_messages = 3, limit = 9 }), function(count)
        if count % 3 ~= 1 then own:restart("127.0.0.1:" .. port) end
      end)
      assert.equal(numbers(1, 9), values(list))
      assert.equal(9, own:committed(group, topic))
      own:stop()
    end)

    it("keeps its partitions when it commits in the middle of a batch and another one joins", function()
      local topic = server:topic(2, 8)
      through {}
      local next_message, loop = client:messages(options(topic, { max_messages = 8 }))
      local seen = { next_message(loop), next_message(loop) }
      local other = server:client()
      assert(other:consume(group, "two", topic, { auto_commit = false, auto_offset_reset = "earliest", timeout = 0 }))
      assert.is_true(loop:commit())
      assert.same({}, assert(other:consume(group, "two", topic, { timeout = 300 })))
      for index = 3, 8 do seen[index] = next_message(loop) end
      assert.equal(8, #seen)
      assert.is_true(loop:commit())
      assert.is_true(loop:close())
      assert.same({}, assert(other:consume(group, "two", topic, { timeout = 300 })))
      other:close()
    end)
  end)

  describe("a consume by hand", function()
    local BY_HAND = { auto_commit = false, auto_offset_reset = "earliest", timeout = 200, max_messages = 2 }

    local function consume(topic, more)
      local given = {}
      for key, value in pairs(BY_HAND) do given[key] = value end
      for key, value in pairs(more) do given[key] = value end
      return client:consume(group, "one", topic, given)
    end

    it("gets a batch again until it acknowledges it by its ID", function()
      local topic = server:topic(1, 4)
      client = server:client()
      local first, _, about = consume(topic, { ack = "none" })
      assert.equal("1 2", values(first))
      local again, _, same = consume(topic, { ack = "none", max_messages = 1 })
      assert.equal("1 2", values(again))
      assert.equal(about.batch, same.batch)
      local second, _, other = consume(topic, { ack = about.batch })
      assert.equal("3 4", values(second))
      assert.not_equal(about.batch, other.batch)
      local lost, _, details = consume(topic, { ack = "unknown" })
      assert.is_nil(lost)
      assert.same({ "conflict", 409 }, { details.code, details.status })
    end)

    it("commits by the ID of a batch, and by offsets", function()
      local topic = server:topic(1, 6)
      client = server:client()
      local _, _, about = consume(topic, { ack = "none" })
      _, _, about = consume(topic, { commit_batch = about.batch })
      assert.equal(2, server:committed(group, topic))
      assert.is_true(client:commit(group, "one", nil, { commit_batch = about.batch }))
      assert.equal(4, server:committed(group, topic))
      local rest = assert(consume(topic, { ack = about.batch, commit = { topic = topic, partition = 0, offset = 5 } }))
      assert.equal("5 6", values(rest))
      assert.equal(5, server:committed(group, topic))
      assert.is_true(client:delete_consumer(group, "one", { ack = "none" }))
      assert.equal("6", values(assert(consume(topic, { ack = "none" }))))
    end)

    it("names the commits that it skips", function()
      local topic = server:topic(1, 2)
      client = server:client()
      assert.equal(2, #assert(consume(topic, {})))
      local other = server:topic(1, 1)
      local messages, _, about = client:consume(group, "two", other, { auto_offset_reset = "earliest", timeout = 1000,
        commit = { { topic = topic, partition = 0, offset = 1 } } })
      assert.equal(1, #messages)
      assert.equal(topic .. "-0", about.commit_skipped)
      assert.equal(-1, server:committed(group, topic))
    end)
  end)

  describe("a produce", function()
    local function stored(topic)
      local own = server:client()
      local list = assert(own:fetch(topic, 0, 0, { timeout = 0 }))
      own:close()
      return values(list)
    end

    it("is repeated if the server honours keys, and stored once", function()
      for _, fault in ipairs { "lose", "cut", "cut@30" } do
        local topic = server:topic(1, 0)
        through({ idempotent = true, retries = 3 }, fault .. " /produce 1", fault .. " /produce 2")
        local metadata, message, about = client:produce(topic, "a")
        assert.same({ 0, nil, true }, { metadata.offset, message, about.replayed })
        local list
        list, message, about = client:produce_many(topic, { { value = "b" }, { value = "c" } })
        assert.same({ 1, 2 }, { list[1].offset, list[2].offset })
        assert.same({}, { message, about })
        assert.equal("a b c", stored(topic))
        client:close()
        proxy.stop()
        client, proxy = nil, nil
      end
    end)

    it("of a webhook, too", function()
      local topic = server:topic(1, 0)
      through({ idempotent = true, retries = 1 }, "lose /webhook 1")
      assert.equal(0, assert(client:webhook(topic, "a")).offset)
      assert.equal("a", stored(topic))
    end)

    it("is not repeated by default: the server may not honour keys", function()
      local topic = server:topic(1, 0)
      through({ retries = 3 }, "lose /produce 1")
      local metadata, _, details = client:produce(topic, "a")
      assert.is_nil(metadata)
      assert.equal("connection_lost", details.code)
      assert.equal(1, requests "/produce")
    end)

    it("of the background is stored once", function()
      local topic = server:topic(1, 0)
      through({}, "lose /produce 1", "cut /produce 3", "cut@20 /produce 5")
      local producer, texts = client:producer { topic = topic, batch_messages = 4, linger = 0 }, {}
      for number = 1, 40 do
        texts[number] = tostring(number)
        assert(producer:send(nil, texts[number]))
      end
      assert.is_true(producer:flush(60000))
      assert(producer:close())
      assert.equal(table.concat(texts, " "), stored(topic))
    end)
  end)
end)
