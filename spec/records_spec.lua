local canned = require "spec.support.canned_server"
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

describe("client:records", function()
  local server, client, topic

  setup(function()
    server = support.start()
    client = server:client()
    topic = server:topic(1, 0)
    local messages = {}
    for number = 1, 20 do messages[number] = { value = tostring(number), timestamp = 1000 * number } end
    assert(client:produce_many(topic, messages))
  end)
  teardown(function()
    client:close()
    server:stop()
  end)

  local function replay(given)
    local list = {}
    given.topic, given.partition = topic, given.partition or 0
    for message in client:records(given) do list[#list + 1] = message end
    return values(list)
  end

  it("reads a range of offsets, the last one not included", function()
    assert.equal("6 7 8", replay { from = 5, to = 8 })
    assert.equal("6 7 8", replay { from = 5, to = 8, max_messages = 2 })
    assert.equal("", replay { from = 5, to = 5 })
    assert.equal("", replay { from = 8, to = 5 })
  end)

  it("reads a range of times", function()
    assert.equal("3 4", replay { from = { timestamp = 2500 }, to = { timestamp = 5000 } })
    assert.equal(numbers(19, 20), replay { from = { timestamp = 19000 }, to = "latest" })
    assert.equal("", replay { from = { timestamp = 99000 }, to = "latest" })
  end)

  it("reads from the first message to the end", function()
    assert.equal(numbers(1, 20), replay { to = "latest" })
    assert.equal(numbers(1, 20), replay { from = "earliest", to = "latest", max_messages = 7 })
  end)

  it("ends at the end offset that it finds at its start", function()
    local moving, count = server:topic(1, 3), 0
    for _ in client:records { topic = moving, partition = 0, to = "latest" } do
      count = count + 1
      server:fill(moving, 4, 6, 1)
    end
    assert.equal(3, count)
  end)

  it("waits for new messages until it has been idle", function()
    local growing, list = server:topic(1, 2), {}
    for message in client:records { topic = growing, partition = 0, idle = 300 } do
      list[#list + 1] = message
      if #list == 2 then server:fill(growing, 3, 4, 1) end
    end
    assert.equal("1 2 3 4", values(list))
    assert.equal("", replay { from = "latest", idle = 50 })
  end)

  it("ends after limit messages", function()
    assert.equal("1 2 3", replay { limit = 3 })
    assert.equal("", replay { limit = 0 })
  end)

  it("fetches a lost response again", function()
    local proxy = faulty_proxy.start(server.url, "lose /fetch 1", "cut /fetch 2")
    local lossy, list = kafka.new(server:access { url = proxy.url, retries = 0, retry_delay = 1 }), {}
    for message in lossy:records { topic = topic, partition = 0, to = "latest", max_messages = 9 } do
      list[#list + 1] = message
    end
    proxy.stop()
    assert.equal(numbers(1, 20), values(list))
  end)

  it("A9: fetches a response that was cut inside its headers again", function()
    local proxy = faulty_proxy.start(server.url, "cut@17 /fetch 1", "cut@60 /fetch 3", "cut@105 /fetch 5",
      "cut@40 /offsets 1")
    local lossy, list = kafka.new(server:access { url = proxy.url, retries = 0, retry_delay = 1 }), {}
    for message in lossy:records { topic = topic, partition = 0, to = "latest", max_messages = 9 } do
      list[#list + 1] = message
    end
    proxy.stop()
    assert.equal(numbers(1, 20), values(list))
  end)

  describe("A3: a response that cannot be read", function()
    local function until_failure(from, given)
      local seen = {}
      local fine, failure = pcall(function()
        for message in from:records(given) do seen[#seen + 1] = message end
      end)
      return values(seen), not fine and failure or nil
    end

    it("is fetched again in smaller batches", function()
      local narrow = server:client { max_response_bytes = 1000 }
      local seen, failure = until_failure(narrow, { topic = topic, partition = 0, to = "latest" })
      assert.equal(numbers(1, 20), seen)
      assert.is_nil(failure)
      assert.equal("3 4 5 6", (until_failure(narrow, { topic = topic, partition = 0, from = 2, to = 6,
        max_messages = 3, limit = 4 })))
      narrow:close()
    end)

    it("names the message at fault, and a loop can start after it", function()
      local own = server:topic(1, 3)
      assert(client:produce(own, ("x"):rep(3000)))
      server:fill(own, 5, 7, 1)
      local narrow = server:client { max_response_bytes = 2000 }
      local seen, failure = until_failure(narrow, { topic = own, partition = 0, to = "latest" })
      assert.equal("1 2 3", seen)
      assert.equal("response_too_large", failure.code)
      assert.same({ topic = own, partition = 0, offset = 3 }, failure.position)
      assert.is_truthy(tostring(failure):find(('topic "%s", partition 0, offset 3'):format(own), 1, true))
      seen, failure = until_failure(narrow,
        { topic = own, partition = 0, from = failure.position.offset + 1, to = "latest" })
      assert.equal("5 6 7", seen)
      assert.is_nil(failure)
      narrow:close()
    end)

    for fault, text in pairs { misplace = "element 1 of the response: offset: an integer expected, got a string",
      unnamed = "element 1 of the response: topic expected in the message, got none" } do
      it("names the message before one without a readable position: " .. fault, function()
        local own = server:topic(1, 3)
        assert(client:produce(own, "poison"))
        local proxy = faulty_proxy.start(server.url, fault .. " /fetch 0")
        local spoilt = kafka.new(server:access { url = proxy.url, retries = 0 })
        local seen, failure = until_failure(spoilt, { topic = own, partition = 0 })
        assert.equal("1 2 3", seen)
        assert.same({ "bad_response", { topic = own, partition = 0, offset = 2 } }, { failure.code, failure.after })
        assert.equal(('%s (after topic "%s", partition 0, offset 2): this message cannot be read'):format(text, own),
          tostring(failure))
        seen, failure = until_failure(spoilt, { topic = own, partition = 0, from = 3 })
        assert.equal("", seen)
        assert.is_nil(failure.after)
        spoilt:close()
        proxy.stop()
      end)
    end

    it("stops after halving the batch if no response can be read", function()
      local own = server:topic(1, 3)
      for most, asked in pairs { [1] = 1, [16] = 5 } do
        local proxy = faulty_proxy.start(server.url, "garble /fetch 0")
        local spoilt = kafka.new(server:access { url = proxy.url, retries = 0 })
        local seen, failure = until_failure(spoilt, { topic = own, partition = 0, max_messages = most })
        assert.equal("", seen)
        assert.equal("bad_response", failure.code)
        assert.equal(asked, select(2, proxy.log():gsub("/fetch%s+garble", "")))
        spoilt:close()
        proxy.stop()
      end
    end)

    it("names a message in malformed JSON", function()
      local own = server:topic(1, 2)
      assert(client:produce(own, "poison"))
      local proxy = faulty_proxy.start(server.url, "spoil /fetch 0")
      local spoilt = kafka.new(server:access { url = proxy.url, retries = 0 })
      local seen, failure = until_failure(spoilt, { topic = own, partition = 0 })
      assert.equal("1 2", seen)
      assert.same({ "bad_response", 2 }, { failure.code, failure.position.offset })
      spoilt:close()
      proxy.stop()
    end)
  end)

  it("closes", function()
    local next_record, loop = client:records { topic = topic, partition = 0 }
    assert.equal("1", next_record(loop).value)
    assert.is_true(loop:close())
    assert.is_nil(next_record(loop))
  end)

  it("raises if a response has no offset", function()
    local answering = canned.start { "accept", "read", canned.answer(200, "[]") }
    local other = kafka.new { url = answering.url }
    local fine, err = pcall(function()
      for _ in other:records { topic = "t", partition = 0 } do error "a message" end
    end)
    other:close()
    answering:finish()
    assert.is_false(fine)
    assert.equal("offsets: one offset expected, got an empty list", tostring(err))
    assert.same({ "bad_response", false }, { err.code, err.retriable })
  end)

  it("raises the server's refusal", function()
    local fine, err = pcall(replay, { partition = 5, to = "latest" })
    assert.is_false(fine)
    assert.equal(400, err.status)
  end)

  for given, text in pairs {
    [{ from = -1 }] = "from: offset, 'earliest', 'latest', {timestamp = milliseconds} or message expected, got -1",
    [{ from = { time = 1 } }] =
      "from: offset, 'earliest', 'latest', {timestamp = milliseconds} or message expected, got table",
    [{ to = "earliest" }] = "to: offset, 'latest' or {timestamp = milliseconds} expected, got 'earliest'",
    [{ partition = "0" }] = "partition: integer >= 0 expected, got '0'",
    [{ group = "g" }] = "unknown option 'group'",
  } do
    it("blames the caller for " .. text, function()
      local fine, err = pcall(replay, given)
      assert.is_false(fine)
      assert.is_truthy(err:find("bad argument #1 to 'records' (" .. text .. ")", 1, true), err)
      local line = debug.getinfo(replay, "S").linedefined + 3 -- of the call of records
      assert.is_truthy(err:find(("records_spec.lua:%d: bad argument"):format(line), 1, true), err)
    end)
  end
end)
