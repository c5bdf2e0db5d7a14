-- A1: positions are valid for one life of a topic. Topics are created again, records deleted and
-- leaders elected uncleanly under a live consumer instance; every message that a topic holds
-- afterwards must reach it.
--
-- KAFKA_ROUNDS is how often each happens, default 3; `make soak` sets 50.

local core = require "upstash.kafka.core"
local folder = require "spec.support.folder"
local kafka_cluster = require "spec.support.kafka_cluster"
local shell = require "spec.support.shell"

local ROUNDS = tonumber(os.getenv "KAFKA_ROUNDS") or 3
local PATIENCE = 150 -- seconds for everything that a round waits for: a bound for hangs
local OLD = 10 -- messages of the first life
local NOTICED = 8000 -- milliseconds after which librdkafka has noticed that a topic is missing

-- One consumer instance, and how often it got each value.
local Reader = {}
Reader.__index = Reader

local function reader_of(client, topic, reset)
  return setmetatable({ client = client, topic = topic, reset = reset, group = kafka_cluster.name "group", seen = {} },
    Reader)
end

-- Failures while a topic or leader is missing do not matter: only what arrives in the end does.
function Reader:poll(timeout, max_messages)
  local messages = self.client:consume(self.group, "i", self.topic,
    { auto_offset_reset = self.reset, timeout = timeout or 300, max_messages = max_messages })
  for _, message in ipairs(messages or {}) do
    self.seen[message.value] = (self.seen[message.value] or 0) + 1
  end
  return messages
end

-- The values that did not arrive.
function Reader:missing(values)
  local missing = {}
  for _, value in ipairs(values) do
    if not self.seen[value] then missing[#missing + 1] = value end
  end
  return missing
end

-- How many messages arrived more than once.
function Reader:again()
  local again = 0
  for _, count in pairs(self.seen) do again = again + count - 1 end
  return again
end

-- The cluster may be away for a moment on a busy machine.
local function insist(attempt)
  return shell.eventually(PATIENCE, attempt)
end

local function create(client, topic)
  insist(function() return client:create_topic(topic) end)
end

local function delete(client, topic)
  insist(function()
    local done, _, details = client:delete_topic(topic)
    return done or details.code == "not_found"
  end)
end

local function offset_at(client, which, topic)
  return insist(function() return client:offsets(which, { topic = topic, partition = 0 }) end)[1].offset
end

local function produce(client, topic, prefix, count)
  local values = {}
  for index = 1, count do
    values[index] = ("%s-%d"):format(prefix, index)
    insist(function() return client:produce(topic, values[index]) end)
  end
  return values
end

-- What the topic holds now.
local function values_of(client, topic)
  local ends, offset, values = offset_at(client, "latest", topic), offset_at(client, "earliest", topic), {}
  while offset < ends do
    local messages = insist(function() return client:fetch(topic, 0, offset, { timeout = 5000 }) end)
    for _, message in ipairs(messages) do values[#values + 1], offset = message.value, message.offset + 1 end
  end
  return values
end

-- Polls until all values have arrived, and returns how many did not. A broker that has not heard
-- yet that a topic was created again acknowledges messages into the old one: they were not skipped.
function Reader:await(values)
  pcall(shell.eventually, PATIENCE, function()
    self:poll()
    return #self:missing(values) == 0
  end)
  local missing = self:missing(values)
  if #missing == 0 then return 0 end
  local held, skipped = values_of(self.client, self.topic), 0
  for _, value in ipairs(missing) do
    for _, other in ipairs(held) do skipped = skipped + (value == other and 1 or 0) end
  end
  print(("A1: of %d messages that did not arrive the topic holds %d"):format(#missing, skipped))
  return skipped
end

local function report(what, counts)
  print(("A1: %s on %s: %d rounds, %d messages, %d skipped, %d delivered again"):format(what, kafka_cluster.version,
    counts.rounds, counts.messages, counts.skipped, counts.again))
  assert.equal(0, counts.skipped)
  assert.equal(ROUNDS, counts.rounds)
end

local function counting()
  local counts = { rounds = 0, messages = 0, skipped = 0, again = 0 }
  return counts, function(messages, skipped, again)
    counts.rounds, counts.messages = counts.rounds + 1, counts.messages + messages
    counts.skipped, counts.again = counts.skipped + skipped, counts.again + again
    if skipped > 0 then print(("A1: round %d: %d of %d messages skipped"):format(counts.rounds, skipped, messages)) end
  end
end

describe("A1: a live instance gets what is new in a topic", function()
  local cluster, server, other, client, foreign

  setup(function()
    cluster = kafka_cluster.shared()
    server, other = cluster:serve { auto_create_topics = false }, cluster:serve { auto_create_topics = false }
    client, foreign = server:client(), other:client()
  end)

  teardown(function()
    client:close()
    foreign:close()
    server:stop()
    other:stop()
  end)

  -- A topic and an instance that has read all its messages.
  local function first_life(reset)
    local topic = kafka_cluster.name "topic"
    create(foreign, topic)
    local reader = reader_of(client, topic, reset)
    if reset == "latest" then
      -- It has a position once that is committed.
      insist(function()
        reader:poll(100)
        local committed = client:committed(reader.group, "i", { topic = topic, partition = 0 })
        return committed and committed[1].offset == 0
      end)
      assert.equal(0, reader:await(produce(foreign, topic, "old", OLD)))
    else
      local values = produce(foreign, topic, "old", OLD)
      assert.equal(0, reader:await(values))
    end
    return topic, reader
  end

  local function make_anew(through, topic)
    delete(through, topic)
    create(through, topic)
  end

  -- Fewer messages than before, as many, and more.
  local function count_of(round)
    return ({ 3, OLD, 25 })[round % 3 + 1]
  end

  local function reset_of(round)
    return round % 4 < 2 and "latest" or "earliest"
  end

  it("created again by its own server", function()
    local counts, count = counting()
    for round = 1, ROUNDS do
      local topic, reader = first_life(reset_of(round))
      if round % 2 == 1 then
        delete(client, topic)
        insist(function() return not reader:poll() end) -- it is missing
        if round % 4 == 1 then core.sleep(NOTICED) end
        create(client, topic)
      else
        make_anew(client, topic)
      end
      local values = produce(client, topic, "new", count_of(round))
      count(#values, reader:await(values), reader:again())
      client:delete_topic(topic)
    end
    report("created again by its own server", counts)
  end)

  it("created again by another client while its server looks away", function()
    local counts, count = counting()
    for round = 1, ROUNDS do
      local topic, reader = first_life(reset_of(round))
      server.handle:signal "STOP"
      if round % 5 == 1 then
        pcall(cluster.topics, cluster, { "--delete", "--topic", topic }) -- may fail afterwards
        insist(function()
          return pcall(cluster.topics, cluster, { "--create", "--topic", topic, "--partitions", "1" })
        end)
      else
        make_anew(foreign, topic)
      end
      local values = produce(foreign, topic, "new", count_of(round))
      server.handle:signal "CONT"
      count(#values, reader:await(values), reader:again())
      foreign:delete_topic(topic)
    end
    report("created again while its server looks away", counts)
  end)

  it("created again by another client while it consumes", function()
    local counts, count = counting()
    for round = 1, ROUNDS do
      local topic, reader = first_life(reset_of(round))
      reader:poll(1)
      make_anew(foreign, topic)
      local values = produce(foreign, topic, "new", count_of(round))
      count(#values, reader:await(values), reader:again())
      foreign:delete_topic(topic)
    end
    report("created again while it consumes", counts)
  end)

  it("created again between the end of one server and the start of the next", function()
    local counts, count = counting()
    for round = 1, ROUNDS do
      local first = cluster:serve { auto_create_topics = false }
      local own = first:client()
      local topic = kafka_cluster.name "topic"
      create(own, topic)
      local reader = reader_of(own, topic, "earliest")
      assert.equal(0, reader:await(produce(foreign, topic, "old", OLD)))
      own:close()
      first:stop() -- commits, and stays a member
      make_anew(foreign, topic)
      local values = produce(foreign, topic, "new", count_of(round))
      reader.client = client
      count(#values, reader:await(values), reader:again())
      foreign:delete_topic(topic)
    end
    report("created again between two servers", counts)
  end)

  local function delete_records(topic, before)
    local path = folder.name()
    folder.write(path, ('{"partitions": [{"topic": "%s", "partition": 0, "offset": %d}], "version": 1}'):format(topic,
      before))
    local words = { "org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", cluster.brokers,
      "--offset-json-file", path }
    insist(function() return pcall(cluster.java, cluster, words) end)
    os.remove(path)
  end

  it("whose records are deleted", function()
    local counts, count = counting()
    for round = 1, ROUNDS do
      local topic = kafka_cluster.name "topic"
      create(foreign, topic)
      local reader = reader_of(client, topic, "earliest")
      produce(foreign, topic, "old", OLD)
      insist(function() return #(reader:poll(300, 4) or {}) > 0 end)
      if round % 2 == 0 then server.handle:signal "STOP" end
      -- Before the position, behind it, and all.
      delete_records(topic, ({ 2, 7, OLD })[round % 3 + 1])
      produce(foreign, topic, "new", count_of(round))
      server.handle:signal "CONT"
      local values = values_of(foreign, topic)
      count(#values, reader:await(values), reader:again())
      foreign:delete_topic(topic)
    end
    report("records deleted", counts)
  end)
end)

describe("A1: an unclean election", function()
  local cluster, server, client

  setup(function()
    cluster = kafka_cluster.start { brokers = 3 }
    server = cluster:serve { auto_create_topics = false }
    client = server:client()
  end)

  teardown(function()
    client:close()
    server:stop()
    cluster:remove()
  end)

  local function await_leader(topic, wanted)
    insist(function() return cluster:leader(topic, 0) == wanted end)
  end

  -- Asks the third broker, which is always there.
  local function await_replicas(topic, third, count)
    local line = ("kcat -b %s -L -t %s -m 5"):format(cluster:address(third), topic)
    insist(function()
      local _, listing = shell.run(line)
      local replicas = listing:match "isrs: ([%d,]+)"
      return replicas and select(2, replicas:gsub("%d+", "")) == count
    end)
  end

  -- Takes a broker away, and brings it back: as a process that ends, which takes long, or as one
  -- that stands still.
  local function take_away(broker, ends)
    if ends then cluster:kill(broker) else cluster:pause(broker) end
  end

  local function bring_back(broker, ended)
    if ended then cluster:restart(broker) else cluster:resume(broker) end
  end

  it("skips nothing that the new leader has", function()
    local counts, count = counting()
    for round = 1, ROUNDS do
      local topic, leader, follower = kafka_cluster.name "topic", round % 3 + 1, (round + 1) % 3 + 1
      local third, ends = 6 - leader - follower, round % 10 == 1
      insist(function()
        return pcall(cluster.topics, cluster, { "--create", "--if-not-exists", "--topic", topic,
          "--replica-assignment", ("%d:%d"):format(leader, follower),
          "--config", "unclean.leader.election.enable=true", "--config", "min.insync.replicas=1" })
      end)
      local reader = reader_of(client, topic, "earliest")
      assert.equal(0, reader:await(produce(client, topic, "kept", 5)))
      await_replicas(topic, third, 2)
      take_away(follower, ends)
      await_replicas(topic, third, 1)
      assert.equal(0, reader:await(produce(client, topic, "lost", 5)))
      take_away(leader, ends)
      bring_back(follower, ends)
      await_leader(topic, follower)
      produce(client, topic, "new", ({ 2, 5, 9 })[round % 3 + 1])
      if round % 2 == 0 then reader:await {} end
      bring_back(leader, ends)
      await_replicas(topic, third, 2)
      local values = values_of(client, topic)
      count(#values, reader:await(values), reader:again())
      print(("A1: round %d: %d of %d had been lost"):format(round, 10 + ({ 2, 5, 9 })[round % 3 + 1] - #values, 5))
    end
    report("unclean election", counts)
  end)
end)
