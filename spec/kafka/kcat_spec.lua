-- kcat and Kafka's own commands read what the server writes, and the other way round.

local kafka = require "upstash.kafka"
local kafka_cluster = require "spec.support.kafka_cluster"
local shell = require "spec.support.shell"

local BYTES = "\0\255\254\1\r\n\t\128 \195\40"

-- With length prefixes, so that keys and values may hold any bytes.
local FORMAT = "%p %o %T %K %S\\n%k%s\\x1f%h\\x1e"

local function parse(output)
  local messages, from = {}, 1
  while from <= #output do
    local _, head, partition, offset, timestamp, key, value =
      output:find("^(%d+) (%d+) (%-?%d+) (%-?%d+) (%-?%d+)\n", from)
    key, value = tonumber(key), tonumber(value)
    local after_key = head + 1 + math.max(key, 0)
    local after_value = after_key + math.max(value, 0)
    local _, last, headers = output:find("^\31([^\30]*)\30", after_value)
    messages[#messages + 1] = {
      partition = tonumber(partition), offset = tonumber(offset), timestamp = tonumber(timestamp),
      key = key >= 0 and output:sub(head + 1, after_key - 1) or nil,
      value = value >= 0 and output:sub(after_key, after_value - 1) or nil, headers = headers,
    }
    from = last + 1
  end
  return messages
end

describe("kcat and the server", function()
  local cluster, server, client, binary

  lazy_setup(function()
    cluster = kafka_cluster.shared()
    server = cluster:serve()
    client, binary = server:client(), server:client { binary = true }
  end)

  lazy_teardown(function()
    client:close()
    binary:close()
    server:stop()
  end)

  -- All messages of a topic, as kcat sees them.
  local function kcat_reads(topic)
    return parse(cluster:kcat { "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", FORMAT })
  end

  local function kcat_writes(topic, input, words)
    local all = { "-P", "-t", topic }
    for _, word in ipairs(words or {}) do all[#all + 1] = word end
    cluster:kcat(all, { input = input })
  end

  -- The messages that a group gets, until there are enough, however slow the cluster is.
  local function consume(reader, topic, count, group)
    local messages = {}
    group = group or kafka_cluster.name "group"
    shell.eventually(30, function()
      local batch = reader:consume(group, "i", topic, { auto_offset_reset = "earliest", timeout = 5000 })
      for _, message in ipairs(batch or {}) do messages[#messages + 1] = message end
      return #messages >= count
    end)
    assert.equal(count, #messages)
    return messages
  end

  describe("what REST produces, kcat reads:", function()
    it("key, value, headers in order and repeated, timestamp, partition and offset", function()
      local topic = server:topic(3)
      local metadata = assert(client:produce(topic, "grüße", {
        key = "schlüssel", partition = 2, timestamp = 1234567890123,
        headers = { { key = "a", value = "1" }, { key = "b", value = "" }, { key = "a", value = "2" } },
      }))
      assert.same({ topic = topic, partition = 2, offset = 0, timestamp = 1234567890123 }, metadata)
      assert.same({ {
        partition = 2, offset = 0, timestamp = 1234567890123, key = "schlüssel", value = "grüße",
        headers = "a=1,b=,a=2",
      } }, kcat_reads(topic))
    end)

    it("null as null, and an empty string or a missing key unchanged", function()
      local topic = server:topic(1)
      assert(client:produce_many(topic, {
        { key = "gone", value = kafka.null, timestamp = 1 }, { key = "empty", value = "", timestamp = 2 },
        { value = "keyless", timestamp = 3 },
      }))
      assert.same({
        { partition = 0, offset = 0, timestamp = 1, key = "gone", headers = "" },
        { partition = 0, offset = 1, timestamp = 2, key = "empty", value = "", headers = "" },
        { partition = 0, offset = 2, timestamp = 3, value = "keyless", headers = "" },
      }, kcat_reads(topic))
    end)

    it("a batch, of which some have a timestamp and some have headers", function()
      local topic = server:topic(2)
      local before = os.time() * 1000
      local metadata = assert(client:produce_many(topic, {
        { key = "", value = "a", partition = 1 }, { key = "gone", value = kafka.null, partition = 1 },
        { value = "", partition = 1 }, { value = "b", partition = 1, timestamp = 1 },
        { value = "c", partition = 0 }, { value = "d", partition = 0, headers = { h = "v" } },
        { value = "e", partition = 1 }, { key = "k", value = "f", partition = 1 },
      }))
      local read = { [0] = {}, {} }
      for _, message in ipairs(kcat_reads(topic)) do
        read[message.partition][message.offset] = message
      end
      local function check(index, partition, offset, key, value, headers)
        local message = read[partition][offset]
        assert.same({ topic = topic, partition = partition, offset = offset, timestamp = message.timestamp },
          metadata[index])
        assert.same({ key = key, value = value, headers = headers or "" },
          { key = message.key, value = message.value, headers = message.headers })
        assert(index == 4 and message.timestamp == 1 or math.abs(message.timestamp - before) < 60000)
      end
      check(1, 1, 0, "", "a")
      check(2, 1, 1, "gone", nil)
      check(3, 1, 2, nil, "")
      check(4, 1, 3, nil, "b")
      check(5, 0, 0, nil, "c")
      check(6, 0, 1, nil, "d", "h=v")
      check(7, 1, 4, nil, "e")
      check(8, 1, 5, "k", "f")
    end)

    it("no timestamp except the given one", function()
      local topic = server:topic(1)
      local _, message, details = client:produce(topic, "v", { timestamp = 0 })
      assert.same({ 400, "timestamp: an integer of 1 to 9007199254740992 expected, got 0" },
        { details and details.status, message })
      _, message, details = client:produce_many(topic, { { value = "a" }, { value = "b", timestamp = 0 } })
      assert.same({ 400, "messages[2].timestamp: an integer of 1 to 9007199254740992 expected, got 0" },
        { details and details.status, message })
      assert.same({}, kcat_reads(topic))
    end)

    it("any bytes in key, value and header", function()
      local topic = server:topic(1)
      local header = "\255\1" -- without a NUL, where kcat ends it
      assert(binary:produce(topic, BYTES, { key = BYTES:reverse(), headers = { h = header } }))
      local message = kcat_reads(topic)[1]
      assert.equal(BYTES, message.value)
      assert.equal(BYTES:reverse(), message.key)
      assert.equal("h=" .. header, message.headers)
    end)

    it("the message of a webhook", function()
      local topic = server:topic(1)
      local metadata = assert(client:webhook(topic, BYTES, { headers = { ["X-Event"] = "push" } }))
      local message = kcat_reads(topic)[1]
      assert.equal(BYTES, message.value)
      assert.is_nil(message.key)
      assert.equal(metadata.timestamp, message.timestamp)
      assert.equal("x-event=push", message.headers:lower())
    end)
  end)

  describe("what kcat produces, REST consumes and fetches:", function()
    local function both(topic, count, check)
      local fetched = assert(binary:fetch(topic, 0, 0, { timeout = 5000 }))
      assert.equal(count, #fetched)
      check(fetched)
      check(consume(binary, topic, count))
    end

    it("key, value, headers in order and repeated, timestamp and offset", function()
      local topic = server:topic(1)
      kcat_writes(topic, "clé\tvaleur\n", { "-K", "\\t", "-H", "a=1", "-H", "b=", "-H", "a=2" })
      local timestamp = kcat_reads(topic)[1].timestamp
      both(topic, 1, function(messages)
        assert.same({
          topic = topic, partition = 0, offset = 0, timestamp = timestamp, key = "clé", value = "valeur",
          headers = { { key = "a", value = "1" }, { key = "b", value = "" }, { key = "a", value = "2" } },
        }, { topic = messages[1].topic, partition = messages[1].partition, offset = messages[1].offset,
          timestamp = messages[1].timestamp, key = messages[1].key, value = messages[1].value,
          headers = messages[1].headers })
      end)
    end)

    it("null, no key, and a header without a value", function()
      local topic = server:topic(1)
      kcat_writes(topic, "gone:\n:keyless\n", { "-K", ":", "-Z" })
      kcat_writes(topic, "bare\n", { "-H", "flag" })
      both(topic, 3, function(messages)
        assert.is_nil(messages[1].value)
        assert.equal("gone", messages[1].key)
        assert.equal("", messages[2].key)
        assert.equal("keyless", messages[2].value)
        assert.same({ { key = "flag", value = "" } }, messages[3].headers)
      end)
    end)

    it("any bytes", function()
      local topic = server:topic(1)
      local value = BYTES:gsub("[\30\31]", "")
      kcat_writes(topic, value:reverse() .. "\31" .. value, { "-K", "\\x1f", "-D", "\\x1e" })
      both(topic, 1, function(messages)
        assert.equal(value, messages[1].value)
        assert.equal(value:reverse(), messages[1].key)
      end)
    end)

    for _, codec in ipairs { "gzip", "snappy", "lz4", "zstd" } do
      it("compressed by " .. codec, function()
        local topic, lines = server:topic(1), {}
        for number = 1, 500 do lines[number] = "the same again and again " .. number end
        kcat_writes(topic, table.concat(lines, "\n") .. "\n", { "-z", codec })
        both(topic, 500, function(messages)
          for number, message in ipairs(messages) do assert.equal(lines[number], message.value) end
        end)
      end)
    end
  end)

  describe("the partition of a key", function()
    local PARTITIONS = 7

    -- Every length of the hash's tail, short and long, and bytes of both signs.
    local function text_keys()
      local keys = { "", "0", "21", "foobar", "abc", "Zürich", "東京", "🎈", "a b", "\127" }
      for length = 1, 60 do
        keys[#keys + 1] = ("key-%d-"):format(length) .. ("x"):rep(length)
        keys[#keys + 1] = ("ÿ"):rep(length) .. length
      end
      return keys
    end

    local function partitions_of(topic, keys, reader)
      local messages, partitions = {}, {}
      for index, key in ipairs(keys) do messages[index] = { key = key, value = "v" } end
      for index, metadata in ipairs(assert(reader:produce_many(topic, messages))) do
        partitions[keys[index]] = metadata.partition
      end
      return partitions
    end

    local function seen_by_kcat(topic)
      local partitions = {}
      for _, message in ipairs(kcat_reads(topic)) do partitions[message.key] = message.partition end
      return partitions
    end

    it("is that of Kafka's own producer", function()
      local keys, lines, java = text_keys(), {}, server:topic(PARTITIONS)
      for index, key in ipairs(keys) do lines[index] = key .. "\tv\n" end
      local class = kafka_cluster.version:match "^3%." and "kafka.tools.ConsoleProducer"
        or "org.apache.kafka.tools.ConsoleProducer"
      cluster:java({ class, "--bootstrap-server", cluster.brokers, "--topic", java,
        "--property", "parse.key=true" }, { input = table.concat(lines) })
      local expected, used = seen_by_kcat(java), {}
      for _, partition in pairs(expected) do used[partition] = true end
      assert.equal(PARTITIONS, #used + 1) -- and partition 0: the keys reach every one
      assert.same(expected, partitions_of(server:topic(PARTITIONS), keys, client))
    end)

    it("is that of librdkafka's murmur2 for any bytes", function()
      local keys, input, random = {}, {}, 12345
      for index = 1, 200 do
        local bytes = {}
        for position = 1, index % 37 + 1 do
          random = (random * 1103515245 + 12345) % 2 ^ 31
          bytes[position] = string.char(math.floor(random / 65536) % 256)
        end
        local key = table.concat(bytes):gsub("[\30\31]", "\29")
        keys[index], input[index] = key, key .. "\31v\30"
      end
      local other = server:topic(PARTITIONS)
      kcat_writes(other, table.concat(input),
        { "-K", "\\x1f", "-D", "\\x1e", "-X", "topic.partitioner=murmur2_random" })
      assert.same(seen_by_kcat(other), partitions_of(server:topic(PARTITIONS), keys, binary))
    end)
  end)

  describe("offsets:", function()
    -- PARTITION = { committed, end, lag } by kafka-consumer-groups; a text where it shows a number
    -- is nil.
    local function described(group)
      local rows = {}
      for line in cluster:groups({ "--describe", "--offsets", "--group", group }):gmatch "[^\n]+" do
        local partition, committed, log_end, lag = line:match("^" .. group:gsub("%-", "%%-")
          .. "%s+%S+%s+(%d+)%s+(%S+)%s+(%S+)%s+(%S+)")
        if partition then
          rows[tonumber(partition)] = { tonumber(committed), tonumber(log_end), tonumber(lag) }
        end
      end
      return rows
    end

    it("kafka-consumer-groups shows what REST commits", function()
      local topic, group = server:topic(2, 10), kafka_cluster.name "group"
      assert.equal(10, #consume(client, topic, 10, group))
      assert.is_true(client:commit(group, "i", {
        { topic = topic, partition = 0, offset = 3 }, { topic = topic, partition = 1, offset = 5 },
      }))
      assert.same({ [0] = { 3, 5, 2 }, [1] = { 5, 5, 0 } }, described(group))
      assert.is_true(client:commit(group, "i"))
      assert.same({ [0] = { 5, 5, 0 }, [1] = { 5, 5, 0 } }, described(group))
    end)

    it("the instance is a static member of the group until it is deleted", function()
      local topic, group = server:topic(1, 1), kafka_cluster.name "group"
      consume(client, topic, 1, group)
      local function members() return cluster:groups { "--describe", "--members", "--verbose", "--group", group } end
      local row = members():match("[^\n]*" .. group:gsub("%-", "%%-") .. "[^\n]*")
      assert.is_truthy(row:match "%si%s", row)
      assert.is_true(client:delete_consumer(group, "i"))
      shell.eventually(20, function() return not members():match "%si%s" end)
    end)

    it("/committed shows what a Kafka consumer commits, and REST continues there", function()
      local topic, group = server:topic(1, 10), kafka_cluster.name "group"
      local got = cluster:kcat { "-G", group, "-c", "4", "-q", "-X", "auto.offset.reset=earliest", topic }
      assert.equal("1\n2\n3\n4\n", got)
      local committed = server:committed(group, topic)
      assert.same({ [0] = { committed, 10, 10 - committed } }, described(group))
      assert.equal(4, committed)
      assert.equal("5", consume(client, topic, 6, group)[1].value)
    end)

    it("/committed shows what kafka-consumer-groups resets, and -1 without a commit", function()
      local topic, group = server:topic(2, 10), kafka_cluster.name "group"
      cluster:groups { "--reset-offsets", "--group", group, "--topic", topic .. ":1", "--to-offset", "2", "--execute" }
      assert.equal(-1, server:committed(group, topic, 0))
      assert.equal(2, server:committed(group, topic, 1))
    end)

    it("by timestamp are those of kafka-get-offsets", function()
      local topic = server:topic(1)
      for index, timestamp in ipairs { 1000, 3000, 2000, 5000 } do
        assert(client:produce(topic, tostring(index), { timestamp = timestamp }))
      end
      for _, time in ipairs { 1, 1000, 1001, 3001, 5000 } do
        local shown = cluster:offsets { "--topic", topic, "--time", time }
        local answered = assert(client:offsets(time, { topic = topic, partition = 0 }))[1].offset
        assert.equal(tonumber(shown:match ":0:(%d+)"), answered, "at " .. time)
      end
      assert.equal(4, assert(client:offsets(5001, { topic = topic, partition = 0 }))[1].offset)
    end)
  end)
end)
