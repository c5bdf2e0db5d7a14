-- D10: what a message can be used for: its headers, and as the place of a commit or a fetch; and a
-- producer's send with a value alone.

local kafka = require "upstash.kafka"
local server_support = require "spec.support.server"

describe("D10: a consumed message", function()
  local server, client, topic

  setup(function() server = server_support.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    client = server:client()
    topic = server:topic(2, 10) -- 1, 3, 5, … in partition 0
  end)
  after_each(function() client:close() end)

  local function first(partition)
    return assert(client:fetch(topic, partition or 0, 0))[1]
  end

  local function values_of(messages)
    local values = {}
    for index, message in ipairs(messages) do values[index] = message.value end
    return table.concat(values, " ")
  end

  local function loop(more)
    local options = { group = "g-" .. topic, instance = "one", topic = topic, from = "earliest", max_messages = 4 }
    for key, value in pairs(more or {}) do options[key] = value end
    return client:messages(options)
  end

  local function committed(partition) return server:committed("g-" .. topic, topic, partition) end

  it("gives the value of its last header with a name", function()
    local headers = { { key = "lang", value = "en" }, { key = "Lang", value = "x" }, { key = "lang", value = "fr" },
      { key = "empty", value = "" } }
    assert(client:produce(topic, "v", { headers = headers, partition = 1 }))
    local message = assert(client:fetch(topic, 1, 5))[1]
    assert.same({ "fr", "x", "" }, { message:header "lang", message:header "Lang", message:header "empty" })
    assert.is_nil(message:header "LANG")
    assert(client:produce(topic, "v", { headers = { only = "one" }, partition = 1 }))
    assert.equal("one", assert(client:fetch(topic, 1, 6))[1]:header "only")
    assert.equal("nil", tostring(first():header "lang"))
    local line = debug.getinfo(1, "l").currentline + 1
    local fine, text = pcall(function() local _ = message:header() end)
    assert.is_false(fine)
    local expected = "message_spec.lua:%d: bad argument #1 to 'header' (name: string expected, got nil)"
    assert.truthy(text:find(expected:format(line), 1, true), text)
  end)

  it("is committed as the offset after it, alone and in a list", function()
    local group = "g-" .. topic
    assert(client:consume(group, "one", topic, { auto_commit = false, auto_offset_reset = "earliest" }))
    assert.is_true(client:commit(group, "one", first()))
    assert.equal(1, committed(0))
    assert.is_true(client:commit(group, "one", { first(0), { topic = topic, partition = 1, offset = 3 } }))
    assert.same({ 1, 3 }, { committed(0), committed(1) })
    assert.same({ { topic = topic, partition = 0, offset = 1 } }, client:committed(group, "x", first()))
    assert.equal(5, client:offsets("latest", { first(1) })[1].offset)
  end)

  it("is where a fetch and a loop over a partition begin, behind it", function()
    assert.equal("3 5 7 9", values_of(assert(client:fetch { first() })))
    assert.equal("3 5 7 9", values_of(assert(client:fetch(first()))))
    local seen = {}
    for message in client:records { topic = topic, partition = 0, from = first(), to = "latest" } do
      seen[#seen + 1] = message
    end
    assert.equal("3 5 7 9", values_of(seen))
    local fine, text = pcall(client.records, client, { topic = topic, partition = 0, from = first(1) })
    assert.is_false(fine)
    local expected = '(from: a message of topic "%s", partition 0 expected, got one of topic "%s", partition 1)'
    assert.truthy(text:find(expected:format(topic, topic), 1, true), text)
    local other = { topic = "other", partition = 0, offset = 1 }
    local line = debug.getinfo(1, "l").currentline + 2
    fine, text = pcall(function()
      local _ = client:records { topic = topic, partition = 0, from = other }
    end)
    assert.is_false(fine)
    assert.truthy(text:find(("message_spec.lua:%d: bad argument #1 to 'records' (from: "):format(line), 1, true), text)
    assert.truthy(text:find('partition 0 expected, got one of topic "other", partition 0', 1, true), text)
  end)

  it("at the last offset of all is committed there, since there is none after it", function()
    if not math.type then return end -- luacheck: compat
    local body = '[{"topic":"t","partition":0,"offset":%s,"timestamp":1,"key":"","value":"v","headers":[]}]'
    for offset, committed_at in pairs { ["9223372036854775807"] = "9223372036854775807",
      ["9223372036854775806"] = "9223372036854775807" } do
      local last = assert(client:finish({ name = "consume" }, 200, nil, body:format(offset)))[1]
      assert.equal('{"topic":"t","partition":0,"offset":' .. committed_at .. "}",
        client:prepare("commit", "g", "i", last).body)
    end
  end)

  it("must be a real one: fields that a position does not have are refused otherwise", function()
    local copy = { topic = topic, partition = 0, offset = 1, value = "v" }
    local fine, text = pcall(client.commit, client, "g", "i", copy)
    assert.is_false(fine)
    assert.truthy(text:find("unknown option 'value'", 1, true), text)
  end)

  it("is committed by loop:commit at once, and the commit is not moved back", function()
    local next_message, state = loop()
    next_message(state)
    local second = next_message(state)
    assert.is_true(state:commit(second))
    local place = second.partition
    assert.equal(second.offset + 1, committed(place))
    assert.is_true(state:commit(second)) -- nothing to do
    assert(state:close()) -- the message in hand is unfinished
    assert.equal(second.offset + 1, committed(place))
  end)

  it("is committed with all that were handed out by loop:commit without one", function()
    local next_message, state = loop()
    for _ = 1, 3 do next_message(state) end
    assert.is_true(state:commit())
    assert.equal(3, math.max(committed(0), 0) + math.max(committed(1), 0))
    local before = { committed(0), committed(1) }
    assert(state:close())
    assert.same(before, { committed(0), committed(1) })
  end)

  it("of an earlier batch, or of another loop, is refused by loop:commit", function()
    local next_message, state = loop { max_messages = 1 }
    local old = next_message(state)
    next_message(state)
    for _, wrong in ipairs { old, first(1 - old.partition) } do
      local fine, text = pcall(state.commit, state, wrong)
      if fine then assert.equal(wrong.partition, 1 - old.partition) else
        assert.truthy(text:find("(a message of the batch in hand expected", 1, true), text)
      end
    end
    local fine, text = pcall(state.commit, state, 5)
    assert.is_false(fine)
    assert.truthy(text:find("bad argument #1 to 'commit' (message expected, got number)", 1, true), text)
    assert(state:close())
    fine, text = pcall(state.commit, state)
    assert.is_false(fine)
    assert.truthy(text:find("the loop is closed", 1, true), text)
  end)

  it("is committed by loop:commit unless the instance is gone", function()
    local next_message, state = loop { max_messages = 1 }
    local message = next_message(state)
    assert(client:delete_consumer("g-" .. topic, "one"))
    local done, text, details = state:commit(message)
    assert.same({ nil, "not_found" }, { done, details.code })
    assert.is_string(text)
    assert.truthy(next_message(state)) -- commits through a new instance
    assert(state:close())
    assert.equal(message.offset + 1, committed(message.partition))
  end)
end)

describe("D10: a producer with a topic", function()
  it("sends a value alone", function()
    local server = server_support.start()
    local client, topic = server:client(), server:topic(1, 0)
    local producer = client:producer { topic = topic, name = server_support.name "sender" }
    for _, value in ipairs { "text", 5, { a = 1 }, kafka.null } do assert.is_true(producer:send(value)) end
    assert.is_true(producer:send(nil, "old"))
    assert(producer:flush(60000))
    local messages = assert(client:fetch(topic, 0, 0))
    assert.same({ "text", "5", '{"a":1}', nil, "old" },
      { messages[1].value, messages[2].value, messages[3].value, messages[4].value, messages[5].value })
    assert.equal(5, #messages)
    local fine, text = pcall(producer.send, producer)
    assert.is_false(fine)
    assert.truthy(text:find("value: string, number, table or null expected", 1, true), text)
    producer:close()
    local other = client:producer()
    assert.is_false((pcall(other.send, other, topic)))
    other:close()
    client:close()
    server:stop()
  end)
end)
