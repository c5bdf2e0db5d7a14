-- Several servers on one Kafka cluster: an instance belongs to the server that it last called, and
-- nothing is lost.

local cjson = require "cjson"
local core = require "upstash.kafka.core"
local free_port = require "spec.support.free_port"
local http = require "spec.support.http"
local folder = require "spec.support.folder"
local kafka_cluster = require "spec.support.kafka_cluster"
local plain_nginx = require "spec.support.plain_nginx"
local shell = require "spec.support.shell"

local ROUND_ROBIN = [[
events { worker_connections 1024; }
http {
  log_format statuses '$status $uri';
  access_log access.log statuses;
  upstream servers { SERVERS }
  server {
    listen 127.0.0.1:8080;
    location / { proxy_pass http://servers; }
  }
}
]]

local ROUNDS, FLOW = 4, 100 -- servers that are killed; messages that pass before and after each
local FLOW_PATIENCE = 120 -- seconds that this may take on a busy machine
local PATIENCE = 60 -- seconds for anything else

local cluster, servers

local function start_server()
  return cluster:serve { listen = "127.0.0.1:" .. free_port(), password = "secret" }
end

-- One request to one server, without retries.
local function post(number, path, body, headers)
  local server = servers[number]
  local client = http.client(server.url, server.username, server.password)
  local response = client:request("POST", path, { body = body and cjson.encode(body), headers = headers })
  client:close()
  return response
end

-- The cluster is too slow for the server, as on a busy machine.
local function is_busy(response)
  return response.status == 503 or response.status == 504
end

-- Asks again as long as the cluster is too slow.
local function insist(number, path, body, headers)
  local response
  shell.eventually(PATIENCE, function()
    response = post(number, path, body, headers)
    return not is_busy(response)
  end)
  return response
end

local function ok(response)
  assert.equal(200, response.status, response.body)
  return cjson.decode(response.body)
end

-- The next messages, however long the group takes.
local function await_messages(number, path, body, headers)
  local messages
  shell.eventually(PATIENCE, function()
    messages = ok(insist(number, path, body, headers))
    return #messages > 0
  end)
  return messages
end

-- What an instance gets from a server, from the first message on if nothing is committed: within
-- the timeout, or the next messages.
local function consume(number, group, instance, topic, timeout, max_messages)
  local headers = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Enable-Auto-Commit"] = "false" }
  local body = { topic = topic, timeout = timeout or 20000, max_messages = max_messages }
  local path, values = ("/consume/%s/%s"):format(group, instance), {}
  for index, message in ipairs(timeout and ok(insist(number, path, body, headers))
    or await_messages(number, path, body, headers)) do
    values[index] = message.value
  end
  return values
end

local function commit(number, group, instance, topic, offset)
  return insist(number, ("/commit/%s/%s"):format(group, instance),
    offset and { topic = topic, partition = 0, offset = offset } or nil)
end

-- After a 504 the deletion may have been carried out, and the next one is a 404.
local function delete(number, group, instance)
  local path, response, late = ("/delete-consumer/%s/%s"):format(group, instance), nil, false
  shell.eventually(PATIENCE, function()
    response = post(number, path)
    if late and response.status == 404 then response = { status = 200, body = "{}" } end
    late = late or response.status == 504
    return not is_busy(response)
  end)
  return response
end

-- Waits until the server that has the group's instance has stored how far its client is, with the
-- offset that it has acknowledged.
local function await_stored(group, topic, acknowledged)
  shell.eventually(PATIENCE, function() return servers[1]:committed(group, topic) == acknowledged end)
end

-- How many rebalances of a group the broker has begun.
local function rebalances(group)
  local words = "Preparing to rebalance group " .. group:gsub("%-", "%%-") .. " "
  return select(2, cluster:call({ "logs", 1 }):gsub(words, ""))
end

-- No server has an instance of the group, not even from before another server deleted it; and Kafka
-- has no member.
local function all_let_go(group)
  shell.eventually(30, function()
    return #servers[1]:instances(group) + #servers[2]:instances(group) + #servers[3]:instances(group) == 0
  end)
  local members = cluster:groups { "--describe", "--members", "--group", group }
  assert.is_falsy(members:find("upstash-kafka", 1, true), members)
end

-- What workers recorded: values by word, how many came more than once, and errors.
local function read_all(place, names)
  local seen = { stored = {}, unsure = {}, got = {}, raised = {}, twice = 0 }
  for _, name in ipairs(names) do
    for word, value in (folder.read(place .. "/" .. name) or ""):gmatch "(%l+) ([^\n]*)\n" do
      if word == "raised" then
        table.insert(seen.raised, value)
      else
        seen[word][value] = (seen[word][value] or 0) + 1
      end
    end
  end
  for _, times in pairs(seen.got) do
    if times > 1 then seen.twice = seen.twice + 1 end
  end
  return seen
end

local function count(set)
  local total = 0
  for _ in pairs(set) do total = total + 1 end
  return total
end

local function missing(seen)
  local total = 0
  for value in pairs(seen.stored) do
    if not seen.got[value] then total = total + 1 end
  end
  return total
end

-- Waits until each list of readers has read FLOW messages that were stored since the call. Earlier
-- messages would prove nothing about the current servers.
local function await_flow(place, producer, readers)
  local before = read_all(place, { producer }).stored
  shell.eventually(FLOW_PATIENCE, function()
    core.sleep(100)
    local stored = read_all(place, { producer }).stored
    for _, names in ipairs(readers) do
      local fresh = 0
      for value in pairs(read_all(place, names).got) do
        if stored[value] and not before[value] then fresh = fresh + 1 end
      end
      if fresh < FLOW then return false end
    end
    return true
  end)
end

-- Calls `read` until nothing is missing after the producer has ended; returns its last result, and
-- whether nothing is missing. Slowness is not a loss: gives up only when a minute has brought
-- nothing new, long after every request and every wait of the group after a kill is over.
local function read_until_all_came(read, producer)
  local got, deadline = -1, nil
  repeat
    local ended = producer:ended()
    local seen = read()
    if ended and missing(seen) == 0 then return seen, true end
    if count(seen.got) > got then got, deadline = count(seen.got), core.now() + 60000 end
    core.sleep(100)
  until core.now() > deadline
  return read(), false
end

describe("several servers on one Kafka cluster:", function()
  setup(function()
    cluster = kafka_cluster.shared()
    servers = { start_server(), start_server(), start_server() }
  end)

  teardown(function()
    for _, server in ipairs(servers or {}) do server:stop() end
  end)

  it("an instance that is taken over gets the messages of the topics that it names there, and no others", function()
    local before, now, group = servers[1]:topic(1, 1), servers[1]:topic(1, 2), kafka_cluster.name "group"
    assert.same({ "1" }, consume(1, group, "one", before))
    assert.same({ "1", "2" }, consume(2, group, "one", now))
    assert.same({ "1" }, consume(1, group, "one", before))
    ok(delete(1, group, "one"))
  end)

  it("a topic that is added where an instance is taken over is read there, with one rebalance", function()
    local before, added, group = servers[1]:topic(1, 1), servers[1]:topic(2, 4), kafka_cluster.name "group"
    local path, got = "/consume/" .. group .. "/one", {}
    assert.same({ "1" }, consume(1, group, "one", before))
    for _ = 1, 4 do
      local headers = { ["Kafka-Auto-Offset-Reset"] = "earliest" }
      for _, message in ipairs(ok(insist(2, path, { topics = { before, added }, timeout = 5000 }, headers))) do
        got[message.topic] = (got[message.topic] or 0) + 1
      end
      if got[before] == 1 and got[added] == 4 then break end
    end
    assert.same({ [before] = 1, [added] = 4 }, got)
    local shared = rebalances(group)
    ok(insist(3, path, { topics = { before, added }, timeout = 100 }))
    assert.equal(shared, rebalances(group))
    ok(delete(1, group, "one"))
  end)

  it("any of them consumes, commits and deletes for an instance on another server", function()
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

  it("with auto-commit an instance continues on any server that gets its requests", function()
    local topic, group = servers[1]:topic(1, 40), kafka_cluster.name "group"
    local headers, got = { ["Kafka-Auto-Offset-Reset"] = "earliest" }, {}
    for number = 1, 9 do
      local body = { topic = topic, timeout = 20000, max_messages = 5 }
      local path = "/consume/" .. group .. "/one"
      for _, message in ipairs(await_messages((number - 1) % 3 + 1, path, body, headers)) do
        got[#got + 1] = tonumber(message.value)
      end
      -- A server that takes the instance over before this is stored begins earlier.
      if number > 1 then await_stored(group, topic, (number - 2) * 5) end
    end
    -- The first server does not know yet that the instance migrates; from the second on each stores
    -- how far it got.
    assert.same({ 1, 2, 3, 4, 5, 1, 2, 3, 4, 5 }, { table.unpack(got, 1, 10) })
    for index = 11, 45 do assert.equal(index - 5, got[index]) end
    -- What the last request acknowledged is committed at once, but not what its answer carried.
    await_stored(group, topic, 35)
    ok(delete(1, group, "one"))
  end)

  it("another server redelivers a response that was cut off", function()
    local topic, group = servers[1]:topic(1, 0), kafka_cluster.name "group"
    local headers, path = { ["Kafka-Auto-Offset-Reset"] = "earliest" }, "/consume/" .. group .. "/one"
    local server = cluster:serve { password = "secret", prefetch_bytes = 64 << 20 }
    finally(function() server:stop() end)
    local function first(number, max_messages)
      local body = { topic = topic, timeout = 20000, max_messages = max_messages }
      return await_messages(number, path, body, headers)[1].offset
    end
    for _ = 1, 16 do ok(post(1, "/produce", { topic = topic, value = ("x"):rep(1000000) })) end
    assert.equal(0, first(1, 1))
    assert.equal(0, first(2, 1))
    await_stored(group, topic, 0)
    local socket = assert(require("socket").connect(server.url:match "http://(.+):(%d+)"))
    local request = "GET %s?timeout=20000&max_bytes=16000000 HTTP/1.1\r\nHost: test\r\nAuthorization: %s\r\n\r\n"
    socket:settimeout(25)
    socket:send(request:format(path .. "/" .. topic, http.basic(server.username, server.password)))
    assert.equal("HTTP/1.1 200 OK", socket:receive "*l")
    local length
    repeat
      local line = socket:receive "*l"
      length = length or tonumber(line:match "^Content%-Length: (%d+)")
    until line == ""
    assert.is_true(length > 12000000, length) -- more than the sockets buffer
    socket:close()
    assert.equal(1, first(1, 1))
    ok(delete(1, group, "one"))
  end)

  it("an instance that started at the end skips nothing when it moves to another server", function()
    local topic, group = servers[1]:topic(1, 3), kafka_cluster.name "group"
    local path, body = "/consume/" .. group .. "/one", { topic = topic, timeout = 2000 }
    shell.eventually(PATIENCE, function() -- until it has found the end, and stored it
      assert.same({}, ok(insist(1, path, body)))
      return servers[1]:committed(group, topic) == 3
    end)
    ok(post(1, "/produce", { topic = topic, value = "between" }))
    assert.equal("between", await_messages(2, path, { topic = topic, timeout = 20000 })[1].value)
    ok(delete(1, group, "one"))
  end)

  it("only the server that knows what was consumed commits it, and the others say so", function()
    local topic, group = servers[1]:topic(1, 3), kafka_cluster.name "group"
    assert.same({ "1", "2", "3" }, consume(1, group, "one", topic))
    local refused = post(2, ("/commit/%s/one"):format(group))
    assert.equal(503, refused.status, refused.body)
    assert.is_truthy(refused.headers["retry-after"])
    ok(commit(1, group, "one"))
    assert.equal(3, servers[2]:committed(group, topic))
  end)

  it("a server that lost an instance does not continue at its old position", function()
    local topic, group = servers[1]:topic(1, 3), kafka_cluster.name "group"
    assert.same({ "1" }, consume(1, group, "one", topic, nil, 1)) -- and has read ahead the rest
    assert.same({ "1" }, consume(2, group, "one", topic, nil, 1))
    assert.same({ "1" }, consume(1, group, "one", topic, nil, 1))
    ok(delete(3, group, "one"))
    assert.same({ "1" }, consume(1, group, "one", topic, nil, 1))
    ok(delete(1, group, "one"))
  end)

  -- While librdkafka closes, it does not answer a request for a member's name.
  it("many instances that are deleted during the query for their owners all leave", function()
    local topic, pending = servers[1]:topic(1, 1), {}
    local client = http.client(servers[1].url, servers[1].username, servers[1].password)
    local groups = {}
    for number = 1, 40 do
      groups[number] = kafka_cluster.name "group"
      consume(1, groups[number], "one", topic)
    end
    for number, group in ipairs(groups) do
      local path = ("/consume/%s/one/%s?timeout=1000"):format(group, topic)
      pending[number * 2 - 1] = client:start("GET", path)
      pending[number * 2] = client:start("POST", ("/delete-consumer/%s/one"):format(group))
    end
    http.collect(pending)
    client:close()
    for number, group in ipairs(groups) do
      local consumed, deleted = pending[number * 2 - 1].response, pending[number * 2].response
      -- A request that arrived second after all, on its own connection, has created the instance
      -- again, and a deletion that a busy machine delayed may not have been carried out.
      local is_late = is_busy(deleted)
      if not is_late then ok(deleted) end
      if not is_busy(consumed) then ok(consumed) end
      local again = (is_late or consumed.at > deleted.at) and delete(2, group, "one").status or 404
      assert.is_true(again == 200 or again == 404, again)
      assert.equal(404, delete(2, group, "one").status)
    end
  end)

  it("any of them deletes an instance without partitions", function()
    local topic, group = servers[1]:topic(1, 1), kafka_cluster.name "group"
    assert.same({ "1" }, consume(1, group, "one", topic))
    assert.same({}, consume(2, group, "two", topic, 1000))
    shell.eventually(30, function()
      consume(1, group, "one", topic, 100)
      consume(2, group, "two", topic, 100)
      return cluster:groups({ "--describe", "--state", "--group", group }):find "Stable"
    end)
    for _, instance in ipairs { "one", "two" } do
      ok(delete(3, group, instance))
      assert.equal(404, delete(1, group, instance).status)
    end
    all_let_go(group)
  end)

  it("any of them deletes an instance whose topic is gone", function()
    local topic, group = servers[1]:topic(1, 1), kafka_cluster.name "group"
    assert.same({ "1" }, consume(1, group, "one", topic))
    cluster:topics { "--delete", "--topic", topic }
    ok(delete(3, group, "one"))
    assert.equal(404, delete(2, group, "one").status)
    all_let_go(group)
  end)

  it("an instance that another server deleted does not come back", function()
    local topic, group = servers[1]:topic(1, 1), kafka_cluster.name "group"
    assert.same({ "1" }, consume(1, group, "one", topic))
    ok(delete(2, group, "one"))
    all_let_go(group)
    assert.same({ "1" }, consume(3, group, "other", topic))
    ok(delete(3, group, "other"))
  end)

  -- Kafka waits for it until its session expires before it rebalances the group.
  it("an instance whose server was killed is deleted while the group waits for it", function()
    local topic, group = servers[1]:topic(1, 1), kafka_cluster.name "group"
    assert.same({ "1" }, consume(1, group, "gone", topic))
    servers[1].handle:kill()
    finally(function() servers[1]:restart() end)
    assert.same({}, consume(2, group, "waits", topic, 1000))
    ok(delete(3, group, "gone"))
    assert.same({ "1" }, consume(2, group, "waits", topic))
    ok(delete(3, group, "waits"))
  end)

  -- The group has a commit in partition 0, which is read to its end, and none in the others: a
  -- broker that waits for messages of the first answers nothing about them. Each poll takes the
  -- instance over, and the next one takes it away again.
  for _, timeout in ipairs { 1000, 500, 0 } do
    it(("each server in turn: polls of %d ms reach every partition"):format(timeout), function()
      local topic, group = servers[1]:topic(3, 0), kafka_cluster.name "group"
      local path, polls, seen = ("/consume/%s/polls"):format(group), 0, {}
      local headers = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Enable-Auto-Commit"] = "false" }
      local function produce(partition)
        local client = servers[1]:client()
        assert(client:produce(topic, tostring(partition), { partition = partition }))
        client:close()
      end
      produce(0)
      await_messages(1, path, { topic = topic, timeout = 20000 }, headers)
      ok(insist(2, path, { topic = topic, timeout = 0, commit = { { topic = topic, partition = 0, offset = 1 } } },
        headers))
      produce(1)
      produce(2)
      shell.eventually(PATIENCE, function()
        polls = polls + 1
        local response = post(polls % 2 + 1, path, { topic = topic, timeout = timeout }, headers)
        for _, message in ipairs(response.status == 200 and cjson.decode(response.body) or {}) do
          seen[message.value] = true
        end
        return seen["1"] and seen["2"]
      end)
      print(("polls of %d ms through two servers on %s: %d until every message came"):format(timeout,
        kafka_cluster.version, polls))
    end)
  end

  it("another instance's takeovers do not rebalance the group", function()
    local topic, group = servers[1]:topic(2, 0), kafka_cluster.name "group"
    consume(2, group, "stays", topic, 1000)
    consume(1, group, "moves", topic, 1000)
    shell.eventually(30, function()
      consume(2, group, "stays", topic, 100)
      consume(1, group, "moves", topic, 100)
      local client = servers[1]:client()
      local held = 0
      for _, each in ipairs(assert(client:consumers())) do
        local topics = each.name == group and each.instances[1].topics or {}
        for _, entry in ipairs(topics) do held = held + #entry.partitions end
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

  -- Behind nginx ----------------------------------------------------------------------------------

  it("behind plain round robin no message is lost while servers are killed one after another", function()
    local lines = {}
    for number, server in ipairs(servers) do lines[number] = ("server %s;"):format(server.url:match "//(.*)") end
    local front = plain_nginx.start(ROUND_ROBIN, { SERVERS = table.concat(lines, " ") })
    finally(function() front:stop() end)
    local topic, group = servers[1]:topic(3, 0), kafka_cluster.name "group"
    local groups = { produce = "", consume = group, auto = kafka_cluster.name "group" }
    local place = folder.make()
    local workers, stop = {}, { produce = place .. "/stop-producers", consume = place .. "/stop-consumers" }
    local function work(role, name)
      local line = ("%s spec/support/round_robin_worker.lua %s"):format(shell.lua, shell.words {
        role, topic, ("%s/%s-%s"):format(place, role, name), stop[role] or stop.consume, groups[role], name,
      })
      workers[#workers + 1] = shell.start(line, { environment = servers[1]:environment {
        UPSTASH_KAFKA_REST_URL = front.url } })
    end
    for number = 1, 3 do work("consume", "c" .. number) end
    work("produce", "p")
    for number = 1, 2 do work("auto", "a" .. number) end
    local readers = { { "consume-c1", "consume-c2", "consume-c3" }, { "auto-a1", "auto-a2" } }
    await_flow(place, "produce-p", readers)
    for round = 1, ROUNDS do
      servers[round % 3 + 1].handle:kill()
      await_flow(place, "produce-p", readers)
      servers[round % 3 + 1]:restart()
      await_flow(place, "produce-p", readers)
    end
    folder.write(stop.produce, "")

    local seen, fine = read_until_all_came(function()
      return read_all(place, { "produce-p", table.unpack(readers[1]) })
    end, workers[4])
    local auto, auto_fine = read_until_all_came(function()
      return read_all(place, { "produce-p", table.unpack(readers[2]) })
    end, workers[4])
    folder.write(stop.consume, "")
    for _, worker in ipairs(workers) do worker:wait(60) end
    local log = front:read "access.log"
    for _, worker in ipairs(workers) do worker:remove() end
    folder.remove(place)
    local _, got = log:gsub("/consume/", "")
    print(("%d messages acknowledged, %d read twice or more often, by %d requests to consume; %d rebalances")
      :format(count(seen.stored), seen.twice, got, rebalances(group)))
    print(("with auto-commit %d of them read twice or more often"):format(auto.twice))
    assert.is_true(auto_fine, ("%d messages missing with auto-commit"):format(missing(auto)))
    assert.is_true(fine, ("%d messages missing, and no new one for a minute"):format(missing(seen)))
    assert.is_true(count(seen.stored) >= FLOW * (2 * ROUNDS + 1), count(seen.stored))
    assert.same({}, seen.raised)
    for line in log:gmatch "[^\n]+" do
      assert.is_falsy(line:find "^404 /consume/" or line:find "^404 /commit", line)
    end
  end)

  -- With round robin, the server that is asked what the instance holds is never the one that has
  -- it.
  it("a loop that starts at the end keeps its starting point when two servers alternate", function()
    local front = plain_nginx.start(ROUND_ROBIN, {
      SERVERS = ("server %s; server %s;"):format(servers[1].url:match "//(.*)", servers[2].url:match "//(.*)"),
    })
    finally(function() front:stop() end)
    local topic, group, place = servers[1]:topic(1, 5), kafka_cluster.name "group", folder.make()
    local worker = shell.start(("%s spec/support/round_robin_worker.lua %s"):format(shell.lua,
      shell.words { "latest", topic, place .. "/seen", place .. "/stop", group, "one" }),
      { environment = servers[1]:environment { UPSTASH_KAFKA_REST_URL = front.url } })
    local fine, problem = pcall(shell.eventually, 20, function()
      return servers[3]:committed(group, topic) == 5
    end)
    folder.write(place .. "/stop", "")
    worker:wait(30)
    local seen = folder.read(place .. "/seen")
    worker:remove()
    folder.remove(place)
    assert.is_true(fine, problem)
    assert.equal("", seen)
  end)

  describe("examples/nginx-servers/nginx.conf", function()
    local front

    local function start(addresses)
      local replacements = {}
      for number, address in ipairs(addresses) do
        replacements[("server 127.0.0.1:808%d "):format(number)] = ("server %s "):format(address)
      end
      return plain_nginx.start(folder.read "examples/nginx-servers/nginx.conf", replacements)
    end

    local function request(method, path, options)
      local client = http.client(front.url, servers[1].username, servers[1].password)
      local response = client:request(method, path, options)
      client:close()
      return response
    end

    local function read(group, topic)
      local values = {}
      for index, message in ipairs(ok(request("POST", ("/consume/%s/one"):format(group), {
        headers = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Enable-Auto-Commit"] = "false" },
        body = cjson.encode { topic = topic, timeout = 20000, max_messages = 1 }, timeout = 25,
      }))) do values[index] = message.value end
      return values
    end

    -- The numbers of the servers that have the group's instance.
    local function holders(group)
      local numbers = {}
      for number, server in ipairs(servers) do
        if #server:instances(group) > 0 then numbers[#numbers + 1] = number end
      end
      return numbers
    end

    before_each(function()
      local addresses = {}
      for number, server in ipairs(servers) do addresses[number] = server.url:match "//(.*)" end
      front = start(addresses)
    end)

    after_each(function() front:stop() end)

    it("keeps an instance on one server, and spreads instances over all servers", function()
      local topic, used = servers[1]:topic(1, 3), {}
      for _ = 1, 8 do
        local group = kafka_cluster.name "group"
        for number = 1, 3 do assert.same({ tostring(number) }, read(group, topic)) end
        local numbers = holders(group)
        assert.equal(1, #numbers)
        used[numbers[1]] = true
        local body = cjson.encode { topic = topic, partition = 0, offset = 2 }
        ok(request("POST", ("/commit/%s/one"):format(group), { body = body }))
        assert.same(numbers, holders(group))
        ok(request("DELETE", ("/delete-consumer/%s/one"):format(group)))
        assert.same({}, holders(group))
      end
      assert.is_true(count(used) > 1)
    end)

    it("moves the instances of a dead server to another one", function()
      local topic, group = servers[1]:topic(1, 2), kafka_cluster.name "group"
      assert.same({ "1" }, read(group, topic))
      local gone = holders(group)[1]
      servers[gone].handle:kill()
      finally(function() servers[gone]:restart() end)
      assert.same({ "1" }, read(group, topic))
    end)

    it("passes on bodies, also of GET", function()
      local topic = servers[1]:topic(1, 0)
      local body = cjson.encode { { value = ("v"):rep(2000000) } }
      assert.equal(413, request("POST", "/produce/" .. topic, { body = body, timeout = 20 }).status)
      ok(request("POST", "/produce/" .. topic, { body = cjson.encode { value = "a" } }))
      ok(request("GET", "/produce/" .. topic, { body = cjson.encode { value = "b" } }))
      ok(request("GET", ("/produce/%s/c"):format(topic)))
      ok(request("POST", "/webhook?topic=" .. topic, { body = "d" }))
      local values = {}
      for index = 0, 3 do
        local body_of_fetch = cjson.encode { topic = topic, partition = 0, offset = index, max_messages = 1 }
        values[index + 1] = ok(request("POST", "/fetch", { body = body_of_fetch }))[1].value
      end
      assert.same({ "a", "b", "c", "d" }, values)
    end)

    it("says in JSON that no server answers", function()
      front:stop()
      local free = free_port
      front = start { "127.0.0.1:" .. free(), "127.0.0.1:" .. free(), "127.0.0.1:" .. free() }
      for _, path in ipairs { "/topics", "/consume/g/i/t", "/produce/t/m" } do
        local response = request("GET", path)
        assert.equal(502, response.status)
        assert.equal(502, cjson.decode(response.body).status)
      end
    end)
  end)
end)
