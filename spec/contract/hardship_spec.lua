-- Section 1 of the contract under hardship: clients that are slow, vanish, or send many requests.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local get, ok, refused = service.get, service.ok, service.refused

local function consume_path(topic, timeout)
  return ("/consume/%s/one/%s?timeout=%d"):format(service.name "group", topic, timeout)
end

-- The server still serves. A blocked server would answer only when the others have timed out, which
-- takes longer than this waits.
local function is_well()
  ok(get "/topics")
end

describe("hardship:", function()
  service.attach()

  it("a request pipelined behind a waiting one is answered after it", function()
    local topic = service.topic(1)
    local connection = service.client:connect()
    local path, headers = consume_path(topic, 120000), service.EARLIEST
    connection:send(service.client:build("GET", path, { headers = headers })
      .. service.client:build("GET", "/topics"))
    service.sleep(0.2)
    service.produce(topic, "first")
    local messages = ok(connection:receive "GET")
    assert.same({ "first" }, service.values(messages))
    assert.equal(1, ok(connection:receive "GET")[topic])
    connection:close()
  end)

  describe("a client that shuts down its sending side still gets its response", function()
    local function is_answered(method, path, body)
      local request = service.client:build(method, path, { body = body })
      for _ = 1, 30 do ok(service.client:raw(request, true)) end
    end

    it("without a body", function() is_answered("GET", "/topics") end)

    it("with a body", function()
      local position = { topic = service.topic(1), partition = 0, offset = 0, timeout = 0 }
      is_answered("POST", "/fetch", service.json(position))
    end)

    it("with the messages, none of which is lost", function()
      local position = { topic = service.topic(1), partition = 0, offset = 0 }
      service.produce(position.topic, "first")
      is_answered("POST", "/fetch", service.json(position))
    end)

    it("after a wait", function()
      is_answered("GET", consume_path(service.topic(1), 10))
    end)
  end)

  describe("a produce whose headers fill the limit gets a correct response", function()
    local function is_answered(connect, filler)
      local topic, stored = service.topic(1), 0
      for size = 7000, 8200, 8 do
        local connection = connect()
        connection:send(service.client:build("POST", "/produce/" .. topic, {
          headers = filler(size), body = '{"value":"v"}',
        }))
        local response = connection:receive "POST"
        if response.status == 200 then stored = stored + 1 else service.refused_early(response, 431) end
        connection:close()
      end
      assert.equal(stored, service.end_offset(topic, 0))
    end

    local function one(size) return { ["X-Filler"] = ("x"):rep(size) } end

    local function many(size)
      local headers = one(size % 150)
      for index = 1, size / 150 do headers[("X-%03d"):format(index)] = ("x"):rep(80) end
      return headers
    end

    local function fresh() return service.client:connect() end

    local function used()
      local connection = fresh()
      connection:send(service.client:build("GET", "/topics"))
      ok(connection:receive "GET")
      return connection
    end

    it("on a new connection", function() is_answered(fresh, one) end)
    it("on a reused connection", function() is_answered(used, one) end)
    it("when there are many", function() is_answered(used, many) end)
  end)

  it("half a request on each of a hundred connections delays no other client", function()
    local connections = {}
    local request = service.client:build("POST", "/produce/x", { body = '{"value":"v"}' })
    for index = 1, 100 do
      connections[index] = service.client:connect()
      connections[index]:send(request:sub(1, 10 + index % (#request - 12)))
    end
    is_well()
    for _, connection in ipairs(connections) do connection:close() end
    is_well()
  end)

  it("clients that read no response delay no other client", function()
    local topic, messages, connections = service.topic(1), {}, {}
    for index = 1, 8 do messages[index] = { value = ("x"):rep(500000) } end
    service.produce(topic, messages)
    local body = service.json { topic = topic, partition = 0, offset = 0, max_bytes = 8000000 }
    for index = 1, 10 do
      connections[index] = service.client:connect()
      connections[index]:send(service.client:build("POST", "/fetch", { body = body }))
    end
    service.sleep(0.2)
    is_well()
    local fetched = ok(connections[1]:receive "POST")
    assert.equal(messages[1].value, fetched[1].value)
    for _, connection in ipairs(connections) do connection:close() end
    is_well()
  end)

  it("a hundred abandoned consumes delay no other client", function()
    local topic, pendings = service.topic(1), {}
    for index = 1, 100 do
      pendings[index] = service.client:start("GET", consume_path(topic, 120000))
    end
    service.sleep(0.2)
    for _, pending in ipairs(pendings) do pending.connection:close() end
    service.produce(topic, "to nobody")
    is_well()
    assert.equal(1, #service.fetch_all(topic, 0, 1))
  end)

  it("messages that exceed one response come in several", function()
    local topic, group, seen = service.topic(1), service.name "group", 0
    for number = 1, 14 do
      service.produce(topic, { { value = ("%02d"):format(number) .. ("x"):rep(700000) } })
    end
    for _, message in ipairs(service.consume_all(group, "one", topic, 14, service.EARLIEST)) do
      seen = seen + 1
      assert.equal(("%02d"):format(seen), message.value:sub(1, 2))
    end
    assert.equal(14, #service.fetch_all(topic, 0, 14))
  end)

  it("no message is lost while instances join and leave", function()
    local topic, group, seen, count = service.topic(6), service.name "group", {}, 0
    local instances = { "a", "b", "c" }
    for round = 1, 12 do
      local pendings = {}
      for partition = 0, 5 do
        local body = service.json { value = tostring(round), partition = partition }
        table.insert(pendings, service.start("POST", "/produce/" .. topic, { body = body }))
      end
      for index, instance in ipairs(instances) do
        if (round + index) % 4 ~= 0 then
          local path = ("/consume/%s/%s/%s?timeout=100"):format(group, instance, topic)
          table.insert(pendings, service.start("GET", path, { headers = service.EARLIEST }))
        else
          service.post(("/delete-consumer/%s/%s"):format(group, instance))
        end
      end
      http.collect(pendings)
      for _, pending in ipairs(pendings) do
        for _, each in ipairs(ok(service.response(pending))) do
          if each.value then seen[service.place(each) .. "/" .. each.offset] = true end
        end
      end
    end
    for _ in pairs(seen) do count = count + 1 end
    service.eventually(20, function()
      for _, instance in ipairs(instances) do
        for _, each in ipairs(service.consume(group, instance, topic, service.EARLIEST, 30)) do
          local place = service.place(each) .. "/" .. each.offset
          if not seen[place] then count = count + 1 end
          seen[place] = true
        end
      end
      return count == 72, count .. " of 72 messages"
    end)
  end)

  it("many concurrent requests create a topic once", function()
    local topic, pendings, made = service.name "topic", {}, 0
    for index = 1, 20 do
      local options = { body = '{"partitions":2}' }
      pendings[index] = service.start("POST", "/topics/" .. topic, options)
    end
    http.collect(pendings)
    for _, pending in ipairs(pendings) do
      local response = service.response(pending)
      if response.status == 201 then made = made + 1 else ok(response) end
    end
    assert.equal(1, made)
  end)

  it("many concurrent requests create one instance", function()
    local topic, group, pendings = service.topic(1), service.name "group", {}
    for index = 1, 20 do
      local path = ("/consume/%s/one/%s?timeout=200"):format(group, topic)
      pendings[index] = service.start("GET", path)
    end
    http.collect(pendings)
    for _, pending in ipairs(pendings) do ok(service.response(pending)) end
    service.join(group, "one", topic)
    assert.same({ one = { [topic] = { 0 } } }, service.assignment(group))
    local path = ("/consume/%s/two/%s?timeout=50"):format(group, topic)
    refused(get(path), 429)
  end)
end)
