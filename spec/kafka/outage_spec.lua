-- The only broker crashes or falls silent, and comes back: the answers until then, and the
-- recovery.

local cjson = require "cjson"
local http = require "spec.support.http"
local kafka_cluster = require "spec.support.kafka_cluster"
local shell = require "spec.support.shell"

-- Generous bounds in seconds, to find hangs. NOTICED: until an outage is known. KNOWN: until a
-- request is answered then, shorter than PATIENT. BEYOND: how much longer a request may take than
-- its timeout.
local NOTICED, KNOWN, BEYOND, BACK = 60, 25, 20, 60

-- Milliseconds that the callers allow. WAIT: long enough for an outage to be noticed.
local WAIT, PATIENT = 8000, 60000

-- Every request that needs the cluster. `instance` is alive.
local function requests(topic, group, instance, timeout)
  local position = ('{"topic":"%s","partition":0,"offset":0}'):format(topic)
  local partition = ('{"topic":"%s","partition":0}'):format(topic)
  local consume = ('{"topic":"%s","timeout":%d}'):format(topic, timeout)
  return {
    produce = { "POST", "/produce/" .. topic, '{"value":"out"}', wait = 30 },
    ["produce by key"] = { "POST", "/produce/" .. topic, '[{"key":"k","value":"out"},{"value":"out"}]', wait = 30 },
    webhook = { "POST", "/webhook?topic=" .. topic, "out", wait = 30 },
    fetch = { "POST", "/fetch", position:gsub("}", (',"timeout":%d}'):format(timeout)) },
    offsets = { "POST", "/offsets/latest?timeout=" .. timeout, partition },
    committed = { "POST", ("/committed/%s/%s?timeout=%d"):format(group, instance, timeout), partition },
    commit = { "POST", ("/commit/%s/%s"):format(group, instance), position, wait = 10 },
    consume = { "POST", ("/consume/%s/%s"):format(group, instance), consume },
    ["consume of a new instance"] = { "POST", ("/consume/%s/new"):format(kafka_cluster.name "group"), consume },
    topics = { "GET", "/topics", wait = 10 },
    ["topic creation"] = { "POST", "/topics/" .. kafka_cluster.name "fresh", '{"partitions":1}', wait = 10 },
    ["topic deletion"] = { "DELETE", "/topics/" .. kafka_cluster.name "none", wait = 10 },
  }
end

local outages = {
  { name = "killed", away = "kill", back = "restart" },
  { name = "stopped without a word", away = "pause", back = "resume" },
}

describe("without its only broker", function()
  local cluster, server, client, raw

  lazy_setup(function()
    cluster = kafka_cluster.start()
    server = cluster:serve()
    client = server:client { retries = 0 }
    raw = http.client(server.url, server.username, server.password)
  end)

  lazy_teardown(function()
    client:close()
    raw:close()
    cluster:remove()
    server:stop()
  end)

  local function start_all(all)
    local started = {}
    for name, each in pairs(all) do
      local pending = raw:start(each[1], each[2], { body = each[3] })
      started[#started + 1] = { name = name, pending = pending, wait = each.wait or WAIT / 1000 }
    end
    return started
  end

  local function complaint_of(each, within)
    local response, seconds = each.pending.response, each.pending.seconds
    if not response then
      each.pending.connection:close()
      return "no answer"
    end
    local fine = (response.status == 503 and response.headers["retry-after"] == "1" or response.status == 504)
      and seconds <= (within or each.wait + BEYOND)
      and cjson.decode(response.body).status == response.status
    return not fine and ("%d after %.1f s: %s"):format(response.status, seconds, response.body) or nil
  end

  -- Each is answered within its caller's timeout, or that many seconds, and the answer says that
  -- the cluster is away. Returns the exceptions, and the longest time.
  local function complaints(started, within)
    local pendings, found, longest = {}, {}, 0
    for index, each in ipairs(started) do pendings[index] = each.pending end
    pcall(http.collect, pendings, 60)
    for _, each in ipairs(started) do
      local complaint = complaint_of(each, within)
      longest = math.max(longest, each.pending.seconds or 60)
      if complaint then found[#found + 1] = each.name .. ": " .. complaint end
    end
    table.sort(found)
    return found, longest
  end

  local function values_of(messages)
    local values = {}
    for index, message in ipairs(messages) do values[index] = message.value end
    return values
  end

  local function consume(group, instance, topic)
    local messages = {}
    shell.eventually(BACK, function()
      messages = client:consume(group, instance, topic, { auto_offset_reset = "earliest", timeout = 5000 })
      return messages and #messages > 0
    end)
    return values_of(messages)
  end

  -- There is no coordinator until the first group exists, so this test comes first.
  it("a cluster that never had a group serves the first one before the outage", function()
    local topic = server:topic(1, 3)
    local _, message, details = client:delete_consumer("first", "i")
    assert.equal(404, details and details.status, message)
    local values = {}
    for each in client:messages { group = "first", instance = "i", topic = topic, from = "earliest", limit = 3,
      idle = 30000 } do
      values[#values + 1] = each.value
    end
    assert.same({ "1", "2", "3" }, values)
  end)

  -- Nothing arrived because nothing could: an empty answer would hide that.
  it("killed: a request with a shorter wait than /health needs to notice also gets the error", function()
    local topic, group = server:topic(1, 3), kafka_cluster.name "group"
    assert.same({ "1", "2", "3" }, consume(group, "i", topic))
    shell.eventually(BACK, function()
      local messages = client:consume(group, "i", topic, { timeout = 500 })
      return messages and #messages == 0
    end)
    cluster:kill(1)
    finally(function()
      cluster:restart(1)
      shell.eventually(BACK, function() return client:health() end)
    end)
    local function ask()
      local consuming = raw:start("POST", ("/consume/%s/i"):format(group),
        { body = ('{"topic":"%s","timeout":900}'):format(topic) })
      local fetching = raw:start("POST", "/fetch",
        { body = ('{"topic":"%s","partition":0,"offset":3,"timeout":900}'):format(topic) })
      http.collect { consuming, fetching }
      return consuming, fetching
    end
    -- On a busy machine the server may not have seen yet that the connection is gone.
    local consuming, fetching
    for _ = 1, 30 do
      consuming, fetching = ask()
      if consuming.response.status ~= 200 and fetching.response.status ~= 200 then break end
    end
    for _, each in ipairs { consuming, fetching } do
      assert.equal(503, each.response.status)
      assert.equal("1", each.response.headers["retry-after"])
      assert.is_truthy(each.response.body:find("the Kafka cluster does not answer", 1, true), each.response.body)
    end
  end)

  -- A 503 would say that nothing was executed, but auto-commit commits what the deletion
  -- acknowledged.
  it("suspended: a deletion that acknowledges the last response is a 504", function()
    local topic, group = server:topic(1, 3), kafka_cluster.name "group"
    assert.same({ "1", "2", "3" }, consume(group, "i", topic))
    cluster:pause(1)
    finally(function()
      cluster:resume(1)
      shell.eventually(BACK, function() return client:health() end)
    end)
    local deleting = raw:start("DELETE", ("/delete-consumer/%s/i"):format(group))
    http.collect({ deleting }, 60)
    assert.equal(504, deleting.response.status, deleting.response.body)
    assert.is_truthy(deleting.response.body:find("may have been carried out", 1, true), deleting.response.body)
  end)

  for _, outage in ipairs(outages) do
    it(outage.name .. ": 503 within seconds, and everything works again when it is back", function()
      local topic, group = server:topic(1, 3), kafka_cluster.name "group"
      assert.same({ "1", "2", "3" }, consume(group, "before", topic))
      shell.eventually(BACK, function() return client:commit(group, "before") end)
      shell.eventually(BACK, function() return client:health() end)
      local fetch = raw:start("POST", "/fetch",
        { body = ('{"topic":"%s","partition":0,"offset":3,"timeout":60000}'):format(topic) })

      cluster[outage.away](cluster, 1)
      local gone = http.now()
      local under_way = start_all(requests(topic, group, "before", WAIT))
      shell.eventually(NOTICED, function() return not client:health() end)
      local noticed = http.now() - gone
      local found, longest = complaints(under_way)
      print(("%s: health is 503 after %.1f s, the last answer after %.1f s"):format(outage.name, noticed, longest))
      assert.same({}, found)

      local _, message, details = client:health()
      assert.equal(503, details.status)
      assert.is_truthy(message:find("the Kafka cluster does not answer", 1, true), message)
      assert.same({}, (complaints(start_all(requests(topic, group, "before", PATIENT)), KNOWN)))

      local late = cluster:serve()
      finally(function() late:stop() end)
      assert.is_nil((late:client():health()))

      cluster[outage.back](cluster, 1)
      shell.eventually(BACK, function() return client:health() end)
      local stored = shell.eventually(BACK, function() return client:produce(topic, "after") end)
      -- Messages that were in flight when the broker stopped may be stored.
      local kept = {}
      for record in client:records { topic = topic, partition = 0, from = 3, to = "latest" } do
        kept[#kept + 1] = record.value
      end
      assert.equal("after", kept[stored.offset - 3 + 1])
      for index = 1, stored.offset - 3 do assert.equal("out", kept[index]) end

      http.collect({ fetch }, 40)
      local answer = fetch.response
      assert.is_true(answer.status == 503 or answer.status == 504
        or answer.status == 200 and cjson.decode(answer.body)[1].offset == 3, answer.status .. " " .. answer.body)

      local seen = {}
      while #seen < #kept do
        for _, value in ipairs(consume(group, "before", topic)) do seen[#seen + 1] = value end
      end
      assert.same(kept, seen)
      shell.eventually(BACK, function() return client:commit(group, "before") end)
      assert.equal(stored.offset + 1, server:committed(group, topic))
      assert.equal(stored.offset + 1, client:offsets("latest", { topic = topic, partition = 0 })[1].offset)
      assert.equal("1", consume(kafka_cluster.name "group", "i", topic)[1])
      local fresh = server:topic(2, 2)
      assert.equal(2, client:topics()[fresh])
      assert.is_true(client:delete_topic(fresh))
      local late_client = late:client()
      shell.eventually(BACK, function() return late_client:health() end)
      assert(late_client:produce(topic, "late"))
      late_client:close()
    end)
  end
end)
