-- Section 8 of the contract: loss-proof consume.

local service = require "spec.contract.service"

local post, delete, ok, refused = service.post, service.delete, service.ok, service.refused

-- The client says itself what has arrived; auto-commit would do the rest.
local function headers_of(ack, commit)
  local headers = { ["Kafka-Ack"] = ack, ["Kafka-Commit"] = commit }
  for name, value in pairs(service.MANUAL) do headers[name] = value end
  return headers
end

local BRIEF = 200 -- milliseconds

describe("loss-proof consume:", function()
  service.attach()

  local topic, group, instance

  -- One consume; returns the messages, the batch's ID and the response. `options`: ack, commit
  -- (headers), commits (of the body), max_messages, timeout, and more headers. It waits as long as
  -- a busy cluster may need for messages that are there; BRIEF where none are.
  local function consume(options)
    local headers = headers_of(options.ack, options.commit)
    for name, value in pairs(options.headers or {}) do headers[name] = value end
    local response = post(("/consume/%s/%s"):format(group, options.instance or instance), {
      topics = options.topics or { topic }, timeout = options.timeout or 20000,
      max_messages = options.max_messages, commit = options.commits,
    }, { headers = headers })
    if response.status ~= 200 then return nil, nil, response end
    return ok(response), response.headers["kafka-batch"], response
  end

  -- The first batch, of so many messages. A group may need a while to settle.
  local function first(total, options)
    options = options or {}
    options.ack, options.max_messages = "none", total
    local messages, batch
    service.eventually(15, function()
      messages, batch = consume(options)
      return messages and #messages > 0
    end)
    assert.equal(total, #messages)
    return messages, batch
  end

  local function values(messages) return table.concat(service.values(messages), " ") end

  local function committed(partition)
    local positions = ok(post(("/committed/%s/%s"):format(group, instance), {
      topic = topic, partition = partition or 0,
    }))
    return positions[1].offset
  end

  local function begin(total, partitions)
    topic, group, instance = service.topic(partitions or 1), service.name "group", service.name "instance"
    for partition = 0, (partitions or 1) - 1 do service.fill(topic, total, partition) end
  end

  it("a response with messages carries the ID of its batch, another one each time", function()
    begin(6)
    local seen, messages, batch = {}, first(2)
    for number = 1, 3 do
      assert.equal(2, #messages)
      assert.is_truthy(batch:find "^[!-~]+$", batch)
      assert.is_true(#batch <= 64, batch)
      assert.is_nil(seen[batch])
      seen[batch] = true
      assert.is_true(number <= 3)
      messages, batch = consume { ack = batch, max_messages = 2, timeout = number == 3 and BRIEF or nil }
    end
    assert.same({}, messages)
    assert.is_nil(batch)
  end)

  it("an instance that was deleted uses no ID again", function()
    begin(1)
    local seen = {}
    for _ = 1, 3 do
      local _, batch = first(1)
      assert.is_nil(seen[batch])
      seen[batch] = true
      ok(delete(("/delete-consumer/%s/%s"):format(group, instance)))
    end
  end)

  it("Kafka-Ack with the ID says that the batch arrived", function()
    begin(4)
    local messages, batch = first(2)
    assert.equal("1 2", values(messages))
    messages, batch = consume { ack = batch, max_messages = 2 }
    assert.equal("3 4", values(messages))
    messages = consume { ack = batch, timeout = BRIEF }
    assert.same({}, messages)
  end)

  it("Kafka-Ack: none sends again what is outstanding, in any letter case", function()
    begin(4)
    local messages, batch = first(2)
    for _, none in ipairs { "none", "None", "NONE" } do
      local again, same = consume { ack = none, max_messages = 2 }
      assert.same(messages, again)
      assert.equal(batch, same)
    end
    assert.equal("3 4", values((consume { ack = batch })))
  end)

  it("the ID of the batch acknowledged last sends the next one again", function()
    begin(4)
    local _, one = first(2)
    local messages, two = consume { ack = one, max_messages = 2 }
    assert.equal("3 4", values(messages))
    local again, same = consume { ack = one, max_messages = 2 }
    assert.same(messages, again)
    assert.equal(two, same)
    assert.same({}, (consume { ack = two, timeout = BRIEF }))
  end)

  it("any other ID is a 409 that names the header, and changes nothing", function()
    begin(6)
    local _, one = first(2)
    local _, two = consume { ack = one, max_messages = 2 }
    local messages, three = consume { ack = two, max_messages = 2 }
    assert.equal("5 6", values(messages))
    for _, id in ipairs { one, three .. "0", "x", ("y"):rep(64) } do
      local _, _, response = consume { ack = id }
      refused(response, 409, "Kafka-Ack", "none")
      _, _, response = consume { commit = id }
      refused(response, 409, "Kafka-Commit", "none")
      _, _, response = consume { commit = id, commits = { topic = topic, partition = 0, offset = 5 } }
      refused(response, 409)
      for _, path in ipairs { "/commit/%s/%s", "/delete-consumer/%s/%s" } do
        refused(post(path:format(group, instance), nil, { headers = headers_of(id) }), 409, "Kafka-Ack")
      end
    end
    assert.equal(-1, committed())
    local again, same = consume { ack = "none" }
    assert.same(messages, again)
    assert.equal(three, same)
  end)

  it("an instance that is not alive knows no ID, and a 409 does not create it", function()
    begin(2)
    local _, _, response = consume { ack = "never-sent" }
    refused(response, 409, "Kafka-Ack")
    assert.same({}, service.assignment(group))
    local _, batch = first(2)
    ok(delete(("/delete-consumer/%s/%s"):format(group, instance)))
    _, _, response = consume { ack = batch }
    refused(response, 409, "Kafka-Ack")
    assert.same({}, service.assignment(group))
  end)

  it("wrong IDs are a 400 that names the header", function()
    begin(1)
    for _, row in ipairs {
      { "", nil, "Kafka-Ack" }, { ("x"):rep(65), nil, "Kafka-Ack" }, { "a b", nil, "Kafka-Ack" },
      { "ä", nil, "Kafka-Ack" },
      { nil, "none", "Kafka-Commit" }, { nil, ("x"):rep(65), "Kafka-Commit" }, { "a", "b", "Kafka-Commit" },
      { "none", "a", "Kafka-Commit" },
    } do
      local _, _, response = consume { ack = row[1], commit = row[2] }
      refused(response, 400, row[3])
    end
  end)

  it("a batch comes again whatever the limits, and they count from the next one", function()
    begin(6)
    local messages, batch = first(4)
    local again, same = consume { ack = "none", max_messages = 1 }
    assert.same(messages, again)
    assert.equal(batch, same)
    local response = post(("/consume/%s/%s"):format(group, instance), { topic = topic, max_bytes = 1 },
      { headers = headers_of "none" })
    assert.same(messages, ok(response))
    assert.equal("5", values((consume { ack = batch, max_messages = 1 })))
  end)

  it("a batch comes again in the encoding of the request", function()
    begin(1)
    local messages, batch = first(1)
    local again, same = consume { ack = "none", headers = { ["Kafka-Encoding"] = "base64" } }
    assert.equal("MQ==", again[1].value)
    assert.equal(batch, same)
    again, same = consume { ack = "none" }
    assert.same(messages, again)
    assert.equal(batch, same)
  end)

  it("a batch comes again before anything of other topics", function()
    begin(2)
    local other = service.topic(1)
    service.produce(other, "other")
    local messages, batch = first(2)
    local again = consume { ack = "none", topics = { topic, other } }
    assert.same(messages, again)
    service.eventually(15, function()
      again = consume { ack = batch, topics = { topic, other } }
      return again and #again > 0
    end)
    assert.equal("other", values(again))
  end)

  it("Kafka-Commit acknowledges the batch and commits the positions after it", function()
    begin(4, 2)
    local total, batch = 0, nil
    local expected = { [0] = -1, -1 }
    service.eventually(15, function()
      local messages, next_batch = consume { commit = batch, ack = batch == nil and "none" or nil, max_messages = 3 }
      for partition = 0, 1 do assert.equal(expected[partition], committed(partition)) end
      for _, message in ipairs(messages) do expected[message.partition] = message.offset + 1 end
      total, batch = total + #messages, next_batch
      return total == 8
    end)
    assert.same({}, (consume { commit = batch, timeout = BRIEF }))
    assert.equal(4, committed(0))
    assert.equal(4, committed(1))
  end)

  it("Kafka-Commit of a batch acknowledged before commits nothing new, and succeeds", function()
    begin(4)
    local _, one = first(2)
    local messages, two = consume { ack = one, max_messages = 2 }
    local again, same = consume { commit = one }
    assert.same(messages, again)
    assert.equal(two, same)
    assert.equal(-1, committed())
    consume { commit = two, timeout = BRIEF }
    assert.equal(4, committed())
    consume { commit = two, timeout = BRIEF }
    assert.equal(4, committed())
  end)

  it("Kafka-Commit never moves a commit back", function()
    begin(4)
    local _, batch = first(2)
    ok(post(("/commit/%s/%s"):format(group, instance), { topic = topic, partition = 0, offset = 4 },
      { headers = headers_of "none" }))
    assert.equal(4, committed())
    consume { commit = batch, ack = batch }
    assert.equal(4, committed())
  end)

  it("both headers work on a commit", function()
    begin(6)
    local path = ("/commit/%s/%s"):format(group, instance)
    local _, one = first(2)
    ok(post(path, nil, { headers = headers_of "none" }))
    assert.is_true(committed() <= 0) -- nothing of the batch
    ok(post(path, "[]", { headers = headers_of(nil, one) }))
    assert.equal(2, committed())
    local messages, two = consume { ack = one, max_messages = 2 }
    assert.equal("3 4", values(messages))
    ok(post(path, "[]", { headers = headers_of(two) }))
    assert.equal(2, committed())
    ok(post(path, nil, { headers = headers_of(two) }))
    assert.equal(4, committed())
    messages = consume { ack = two }
    assert.equal("5 6", values(messages))
    ok(post(path, nil, { headers = headers_of(two) }))
    assert.equal(4, committed())
    assert.same(messages, (consume { ack = two }))
  end)

  it("both headers work on a deletion", function()
    begin(6)
    local path = ("/delete-consumer/%s/%s"):format(group, instance)
    local _, batch = first(2)
    ok(delete(path, { headers = headers_of(nil, batch) }))
    assert.equal(2, committed())
    -- With auto-commit a deletion commits the last response, unless the client does not hold it.
    local messages
    local automatic = { ["Kafka-Enable-Auto-Commit"] = "true" }
    messages = first(2, { headers = automatic })
    assert.equal("3 4", values(messages))
    ok(delete(path, { headers = headers_of "none" }))
    assert.equal(2, committed())
    messages, batch = first(2, { headers = automatic })
    assert.equal("3 4", values(messages))
    ok(delete(path, { headers = headers_of(batch) }))
    assert.equal(4, committed())
  end)

  it("the commits of a body are applied first, and acknowledge the batch", function()
    begin(6)
    first(2)
    local messages = consume { commits = { { topic = topic, partition = 0, offset = 2 } }, max_messages = 2 }
    assert.equal("3 4", values(messages))
    assert.equal(2, committed())
    messages = consume { commits = { topic = topic, partition = 0, offset = 4 } }
    assert.equal("5 6", values(messages))
    assert.equal(4, committed())
    assert.same({}, (consume { commits = { { topic = topic, partition = 0, offset = 3 } }, timeout = BRIEF }))
    assert.equal(4, committed())
  end)

  it("the commits of a body create the instance, which continues after them", function()
    begin(6)
    local messages
    service.eventually(15, function()
      messages = consume { ack = "none", commits = { topic = topic, partition = 0, offset = 4 } }
      return messages and #messages > 0
    end)
    assert.equal("5 6", values(messages))
    assert.equal(4, committed())
  end)

  it("what a body commits does not come again", function()
    begin(6)
    local _, batch = first(4)
    local messages, same = consume { ack = "none", commits = { topic = topic, partition = 0, offset = 3 } }
    assert.equal("4", values(messages))
    assert.equal(batch, same)
    messages = consume { ack = "none", commits = { topic = topic, partition = 0, offset = 4 } }
    assert.equal("5 6", values(messages))
  end)

  it("wrong commits of a body are refused by their place", function()
    begin(1)
    local _, _, response = consume { commits = { { topic = topic, partition = 0 } } }
    refused(response, 400, "commit[0].offset")
    _, _, response = consume { commits = { topic = topic, partition = 0, ofset = 1 } }
    refused(response, 400, "commit", "ofset", "offset")
    _, _, response = consume { commits = { { topic = service.name "missing", partition = 0, offset = 1 } } }
    refused(response, 404)
    _, _, response = consume { commits = { { topic = topic, partition = 7, offset = 1 } } }
    refused(response, 400, "7")
  end)

  it("a commit of a partition that another live instance holds is skipped and named", function()
    begin(2, 2)
    local other = service.name "other"
    service.eventually(20, function()
      for _, name in ipairs { other, instance } do
        local _, batch = consume { ack = "none", instance = name, timeout = 50 }
        if batch then consume { ack = batch, instance = name, timeout = 0 } end
      end
      local held = service.assignment(group)
      return held[instance] and held[other] and #(held[instance][topic] or {}) == 1 and #(held[other][topic] or {}) == 1
    end)
    local foreign = service.assignment(group)[other][topic][1]
    local _, _, response = consume { ack = "none", timeout = BRIEF, commits = {
      { topic = topic, partition = 0, offset = 1 }, { topic = topic, partition = 1, offset = 1 },
    } }
    assert.equal(200, response.status, response.body)
    assert.equal(("%s-%d"):format(topic, foreign), response.headers["kafka-commit-skipped"])
    assert.equal(-1, committed(foreign))
    assert.equal(1, committed(1 - foreign))
  end)

  it("without any of these, asking again says that the last response arrived", function()
    begin(4)
    first(2)
    local messages, batch = consume { max_messages = 2 }
    assert.equal("3 4", values(messages))
    assert.is_truthy(batch)
    assert.same({}, (consume { timeout = BRIEF }))
  end)

  it("what the server saw fail comes again, whole and as the same batch", function()
    topic, group, instance = service.topic(1), service.name "group", service.name "instance"
    local body, large = {}, ("x"):rep(500000)
    for number = 1, 12 do body[number] = { value = number .. large } end
    service.produce(topic, body)
    service.join(group, instance, service.topic(1), service.MANUAL)
    local path = ("/consume/%s/%s"):format(group, instance)
    local request = { topic = topic, timeout = 20000, max_bytes = 10000000 }
    -- A response that is larger than the buffers between server and client. An engine that reads
    -- less ahead does not make one: then there is nothing to see here.
    local head
    service.eventually(30, function()
      local connection = service.client:connect()
      connection:send(service.client:build("POST", path, {
        headers = headers_of "none", body = service.json(request),
      }))
      local deadline = service.now() + 60
      while not connection.buffer:find("\r\n\r\n", 1, true) do connection:fill(deadline) end
      head = connection.buffer:lower():match "^(.-)\r\n\r\n"
      connection:close()
      return head:find "kafka%-batch"
    end)
    if tonumber(head:match "content%-length: (%d+)") < 6000000 then return end
    local id = head:match "kafka%-batch: ([!-~]+)"
    local response = post(path, request, { headers = service.MANUAL })
    local messages = ok(response)
    assert.equal(id, response.headers["kafka-batch"]:lower())
    assert.equal(12, #messages)
    for number = 1, 12 do assert.equal(number .. large, messages[number].value) end
    response = post(path, { topic = topic, timeout = 0 }, { headers = service.MANUAL })
    assert.same({}, ok(response))
  end)
end)
