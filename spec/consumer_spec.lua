local faulty_proxy = require "spec.support.faulty_proxy"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

-- On Lua 5.4 leaving a loop closes it; elsewhere the test closes its state.
local closes_itself = _VERSION == "Lua 5.4"

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

describe("client:messages and client:batches", function()
  local server, client, proxy, group

  setup(function() server = support.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    client = server:client { retries = 0, retry_delay = 1 }
    group = support.name "group"
  end)
  after_each(function()
    client:close()
    if proxy then proxy.stop() end
    proxy = nil
  end)

  local function options(topic, more)
    local all = { group = group, instance = "one", topic = topic, from = "earliest", idle = 100 }
    for key, value in pairs(more or {}) do all[key] = value end
    return all
  end

  -- Collects what a loop hands out. `body` ends the loop by returning true.
  local function collect(from, given, body)
    local list = {}
    for message in from:messages(given) do
      list[#list + 1] = message
      if body and body(message, #list) then break end
    end
    return list
  end

  local function through(...)
    proxy = faulty_proxy.start(server.url, ...)
    client:close()
    client = kafka.new(server:access { url = proxy.url, retries = 0, retry_delay = 1 })
    return client
  end

  describe("a loop that runs to its end", function()
    it("yields each message once and in order, commits and deletes the instance", function()
      local topic = server:topic(1, 10)
      assert.equal(numbers(1, 10), values(collect(client, options(topic))))
      assert.equal(10, server:committed(group, topic))
      assert.same({}, server:instances(group))
    end)

    it("reads several topics and partitions", function()
      local first, second = server:topic(2, 10), server:topic(3, 9)
      local list = collect(client, options(nil, { topics = { first, second } }))
      assert.equal(19, #list)
      for partition = 0, 1 do assert.equal(5, server:committed(group, first, partition)) end
      for partition = 0, 2 do assert.equal(3, server:committed(group, second, partition)) end
    end)

    it("continues where the last one ended", function()
      local topic = server:topic(1, 5)
      collect(client, options(topic))
      server:fill(topic, 6, 8, 1)
      assert.equal("6 7 8", values(collect(client, options(topic))))
    end)

    it("yields messages with all their fields", function()
      local topic = server:topic(1, 0)
      assert(client:produce(topic, { n = 1 }, { key = "k", headers = { a = "b" }, timestamp = 1700000000000 }))
      assert(client:produce(topic, kafka.null))
      local list = collect(client, options(topic))
      assert.equal(1, list[1]:json().n)
      assert.equal("k", list[1].key)
      assert.equal(1700000000000, list[1].timestamp)
      assert.same({ { key = "a", value = "b" } }, list[1].headers)
      assert.is_nil(list[2].value)
      assert.equal("", list[2].key)
    end)

    it("waits no longer than idle", function()
      local core = require "upstash.kafka.core"
      local began = core.now()
      assert.equal(0, #collect(client, options(server:topic(1, 0), { idle = 200 })))
      assert.is_true(core.now() - began >= 200)
    end)

    it("ends after limit messages and commits those", function()
      local topic = server:topic(1, 10)
      assert.equal("1 2 3", values(collect(client, options(topic, { limit = 3 }))))
      assert.equal(3, server:committed(group, topic))
      assert.equal("4 5 6 7", values(collect(client, options(topic, { limit = 4, max_messages = 3 }))))
      assert.equal(7, server:committed(group, topic))
    end)

    it("sends no request with limit 0", function()
      local dead = kafka.new { url = "http://127.0.0.1:1", retries = 0 }
      assert.equal(0, #collect(dead, options("none", { limit = 0 })))
    end)
  end)

  describe("commits", function()
    it("lag one message behind, since only the next step shows that the body is done", function()
      local topic = server:topic(1, 6)
      local next_message, loop = client:messages(options(topic, { max_messages = 2 }))
      for number = 1, 3 do assert.equal(tostring(number), next_message(loop).value) end
      assert.equal(2, server:committed(group, topic))
      assert.equal("4", next_message(loop).value)
      assert.equal(2, server:committed(group, topic))
      assert.is_true(loop:close())
      assert.equal(3, server:committed(group, topic))
      assert.is_nil(next_message(loop))
      assert.is_true(loop:close())
    end)

    it("after break cover the finished messages", function()
      local topic = server:topic(1, 10)
      collect(client, options(topic), function(_, count) return count == 4 end)
      assert.equal(closes_itself and 3 or -1, server:committed(group, topic))
      assert.same(closes_itself and {} or { "one" }, server:instances(group))
      local rest = closes_itself and numbers(4, 10) or numbers(1, 10)
      assert.equal(rest, values(collect(client, options(topic))))
    end)

    it("after an error in the body cover the finished messages, and the error is kept", function()
      local topic = server:topic(1, 10)
      local fine, err = pcall(collect, client, options(topic), function(_, count)
        if count == 6 then error { mine = true } end
      end)
      assert.is_false(fine)
      assert.is_true(err.mine)
      assert.equal(closes_itself and 5 or -1, server:committed(group, topic))
      assert.equal(closes_itself and "6" or "1", collect(client, options(topic))[1].value)
    end)

    it("in one partition wait for no other", function()
      local topic = server:topic(2, 10)
      local next_message, loop = client:messages(options(topic))
      for _ = 1, 4 do next_message(loop) end
      loop:close()
      local first, second = server:committed(group, topic, 0), server:committed(group, topic, 1)
      assert.equal(3, math.max(first, 0) + math.max(second, 0))
      assert.equal(7, #collect(client, options(topic)))
    end)

    it("are where a new run starts after a crash, even while the old instance lives", function()
      local topic = server:topic(1, 5)
      assert.equal(5, #assert(client:consume(group, "one", topic,
        { auto_commit = false, auto_offset_reset = "earliest" })))
      assert.same({ "one" }, server:instances(group))
      assert.equal(numbers(1, 5), values(collect(client, options(topic))))
    end)
  end)

  describe("batches", function()
    it("are yielded whole and committed when the loop asks for the next one", function()
      local topic, sizes = server:topic(1, 10), {}
      for batch in client:batches(options(topic, { max_messages = 4 })) do
        sizes[#sizes + 1] = #batch
        assert.equal(#sizes == 1 and -1 or 4 * (#sizes - 1), server:committed(group, topic))
      end
      assert.same({ 4, 4, 2 }, sizes)
      assert.equal(10, server:committed(group, topic))
    end)

    it("are cut to the limit", function()
      local topic, sizes = server:topic(1, 10), {}
      for batch in client:batches(options(topic, { max_messages = 4, limit = 6 })) do sizes[#sizes + 1] = #batch end
      assert.same({ 4, 2 }, sizes)
      assert.equal(6, server:committed(group, topic))
    end)

    it("are not committed if you leave the loop in them", function()
      local topic = server:topic(1, 10)
      local next_batch, loop = client:batches(options(topic, { max_messages = 4 }))
      next_batch(loop)
      next_batch(loop)
      loop:close()
      assert.equal(4, server:committed(group, topic))
    end)
  end)

  describe("when responses are lost", function()
    for _, fault in ipairs { "lose", "cut", "garble", "refuse" } do
      for number = 1, 3 do
        it(("to consume %d (%s), no message is lost"):format(number, fault), function()
          local topic = server:topic(1, 9)
          local list = collect(through(("%s /consume/ %d"):format(fault, number)),
            options(topic, { max_messages = 3, idle = 60000, limit = 9 }))
          assert.equal(numbers(1, 9), values(list))
          assert.equal(9, server:committed(group, topic))
        end)
      end
    end

    for _, bytes in ipairs { 1, 16, 17, 40, 80, 105, 150 } do
      it(("A9: cut after byte %d of a consume, a commit and a deletion, no message is lost"):format(bytes), function()
        local topic, cut = server:topic(1, 9), "cut@" .. bytes
        local list = collect(through(cut .. " /consume/ 2", cut .. " /commit/ 1", cut .. " /delete-consumer/ 2"),
          options(topic, { max_messages = 3, idle = 60000, limit = 9 }))
        assert.equal(numbers(1, 9), values(list))
        assert.equal(9, server:committed(group, topic))
      end)
    end

    it("A9: cut in the headers, batches continue too", function()
      local topic, seen = server:topic(1, 9), {}
      for batch in through("cut@40 /consume/ 1", "cut@90 /consume/ 3"):batches(
        options(topic, { max_messages = 3, idle = 60000, limit = 9 })) do
        for _, message in ipairs(batch) do seen[#seen + 1] = message end
      end
      assert.equal(numbers(1, 9), values(seen))
    end)

    it("to commits, messages are neither lost nor repeated", function()
      local topic = server:topic(1, 9)
      local list = collect(through("lose /commit/ 1", "cut /commit/ 3"),
        options(topic, { max_messages = 3, idle = 60000, limit = 9 }))
      assert.equal(numbers(1, 9), values(list))
      assert.equal(9, server:committed(group, topic))
    end)

    it("to the calls that start and end a loop, it starts and ends all the same", function()
      local topic = server:topic(1, 3)
      local list = collect(through("lose /delete-consumer/ 1", "lose /delete-consumer/ 3"),
        options(topic, { idle = 60000, limit = 3 }))
      assert.equal(numbers(1, 3), values(list))
      assert.same({}, server:instances(group))
    end)

    it("repeatedly and unreadable, the loop raises the failure", function()
      local topic = server:topic(1, 3)
      local fine, err = pcall(collect, through "garble /consume/ 0", options(topic, { idle = 60000 }))
      assert.is_false(fine)
      assert.equal("bad_response", err.code)
      assert.is_truthy(err.error:find(": not even a response of one message can be read", 1, true), err.error)
      assert.equal(err.error, tostring(err))
      assert.equal(-1, server:committed(group, topic))
    end)
  end)

  describe("A3: a response that cannot be read", function()
    local big = ("x"):rep(3000)

    -- Creates a topic of one partition with these values.
    local function topic_of(list)
      local topic, messages = server:topic(1, 0), {}
      for index, value in ipairs(list) do messages[index] = { value = value } end
      assert(client:produce_many(topic, messages))
      return topic
    end

    -- Returns what a loop hands out, and what it raises after that.
    local function until_failure(from, given)
      local seen = {}
      local fine, failure = pcall(function()
        for message in from:messages(given) do seen[#seen + 1] = message end
      end)
      return values(seen), not fine and failure or nil
    end

    local function limited(bytes)
      return server:client { retries = 0, retry_delay = 1, max_response_bytes = bytes }
    end

    -- Continues after an unreadable message, as docs/loops.md describes.
    local function go_on_behind(from, position)
      from:consume(group, "one", position.topic, { auto_commit = false, timeout = 0, max_messages = 1 })
      assert(from:commit(group, "one",
        { topic = position.topic, partition = position.partition, offset = position.offset + 1 }))
      assert(from:delete_consumer(group, "one"))
    end

    it("comes again in smaller batches, without a message lost or repeated", function()
      local list = {}
      for number = 1, 60 do list[number] = tostring(number) end
      local topic, narrow = topic_of(list), limited(1000)
      assert.equal(numbers(1, 60), values(collect(narrow, options(topic))))
      assert.equal(60, server:committed(group, topic))
      narrow:close()
    end)

    it("in batches that grow again when they can be read", function()
      local list, sizes = { ("x"):rep(2500) }, {}
      for number = 2, 80 do list[number] = "v" end
      local topic, narrow = topic_of(list), limited(4000)
      for batch in narrow:batches(options(topic, { max_messages = 16 })) do sizes[#sizes + 1] = #batch end
      narrow:close()
      assert.equal(80, server:committed(group, topic))
      assert.equal(8, sizes[1]) -- 16 are too large with the first one
      assert.equal(8, sizes[8])
      assert.equal(16, sizes[9])
    end)

    it("in batches too", function()
      local list, seen = {}, {}
      for number = 1, 30 do list[number] = tostring(number) end
      local topic, narrow = topic_of(list), limited(1000)
      for batch in narrow:batches(options(topic, { max_messages = 25 })) do
        for _, message in ipairs(batch) do seen[#seen + 1] = message end
      end
      assert.equal(numbers(1, 30), values(seen))
      narrow:close()
    end)

    for _, at in ipairs { 1, 2, 5, 9 } do
      it(("because of message %d names it, once those before it are handed out and committed"):format(at), function()
        local list = { "1", "2", "3", "4", "5", "6", "7", "8", "9" }
        list[at] = big
        local topic, narrow = topic_of(list), limited(2000)
        for _ = 1, 2 do -- a second loop ends at the same place, and repeats nothing
          local seen, failure = until_failure(narrow, options(topic))
          assert.equal(_ == 1 and numbers(1, at - 1) or "", seen)
          assert.same({ "response_too_large", false }, { failure.code, failure.retriable })
          assert.same({ topic = topic, partition = 0, offset = at - 1 }, failure.position)
          assert.equal(('the response is over max_response_bytes (at topic "%s", partition 0, offset %d): this message '
            .. "cannot be read; raise max_response_bytes, or continue after it"):format(topic, at - 1),
            tostring(failure))
          assert.is_nil(failure.again)
          assert.equal(at > 1 and at - 1 or -1, server:committed(group, topic))
          assert.same({}, server:instances(group))
        end
        go_on_behind(narrow, { topic = topic, partition = 0, offset = at - 1 })
        assert.equal(numbers(at + 1, 9), values(collect(narrow, options(topic))))
        narrow:close()
      end)
    end

    it("because of malformed JSON in a message raises and names it too", function()
      local topic = topic_of { "1", "2", "3", "poison", "5" }
      local seen, failure = until_failure(through "spoil /consume/ 0", options(topic))
      assert.equal("1 2 3", seen)
      assert.equal("bad_response", failure.code)
      assert.same({ topic = topic, partition = 0, offset = 3 }, failure.position)
      assert.equal(3, server:committed(group, topic))
    end)

    for fault, text in pairs { misplace = "element 1 of the response: offset: an integer expected, got a string",
      unnamed = "element 1 of the response: topic expected in the message, got none" } do
      it("because of a message without a position raises after those before it: " .. fault, function()
        local topic = topic_of { "1", "2", "3", "poison", "5" }
        for round = 1, 2 do
          local seen, failure = until_failure(through(fault .. " /consume/ 0"), options(topic))
          assert.equal(round == 1 and "1 2 3" or "", seen)
          local after = round == 1 and { topic = topic, partition = 0, offset = 2 } or nil
          assert.same({ "bad_response", false, after }, { failure.code, failure.retriable, failure.after })
          assert.is_nil(failure.position)
          assert.equal(text .. (after and (' (after topic "%s", partition 0, offset 2)'):format(topic) or "")
            .. ": this message cannot be read", tostring(failure))
          assert.equal(3, server:committed(group, topic))
          assert.same({}, server:instances(group))
          proxy.stop()
          proxy = nil
        end
      end)
    end

    it("because of a message without a position: the batches before it are handed out", function()
      local topic, seen = topic_of { "1", "2", "3", "4", "5", "poison" }, {}
      local fine, failure = pcall(function()
        for batch in through("misplace /consume/ 0"):batches(options(topic)) do
          for _, message in ipairs(batch) do seen[#seen + 1] = message end
        end
      end)
      assert.is_false(fine)
      assert.equal("1 2 3 4 5", values(seen))
      assert.equal(4, failure.after.offset)
      assert.equal(5, server:committed(group, topic))
    end)

    it("raises after the halving if no response can be read", function()
      local topic = topic_of { "1", "2" }
      for most, asked in pairs { [1] = 3, [16] = 7 } do
        local fine, failure = pcall(collect, through "garble /consume/ 0", options(topic,
          { max_messages = most, idle = 60000 }))
        assert.is_false(fine)
        assert.equal("bad_response", failure.code)
        assert.equal(asked, select(2, proxy.log():gsub("/consume/%S*%s+garble", "")))
        proxy.stop()
        proxy = nil
      end
    end)

    it("only once has no effect", function()
      local topic = topic_of { "1", "2", "poison", "4" }
      assert.equal("1 2 poison 4", values(collect(through("spoil /consume/ 1", "spoil /consume/ 2"), options(topic))))
      assert.equal(4, server:committed(group, topic))
    end)

    it("with from = 'latest' skips nothing either", function()
      local topic = topic_of { "old" }
      local narrow = limited(3000)
      local given = options(topic, { from = "latest" })
      assert.equal("", values(collect(narrow, given)))
      server:fill(topic, 1, 40, 1)
      assert.equal(numbers(1, 40), values(collect(narrow, given)))
      narrow:close()
    end)

    it("after a body that outlasts the session delays no commit", function()
      local topic, narrow = server:topic(2, 0), limited(2000)
      local seen = {}
      assert(client:produce(topic, "1", { partition = 1 }))
      local fine, failure = pcall(function()
        for message in narrow:messages(options(topic, { session_timeout = 1000 })) do
          seen[#seen + 1] = message
          assert(client:produce(topic, big, { partition = 0 }))
          shell.eventually(20, function() return #server:instances(group) == 0 end)
        end
      end)
      assert.is_false(fine)
      assert.equal("1", values(seen))
      assert.same({ topic = topic, partition = 0, offset = 0 }, failure.position)
      assert.equal(1, server:committed(group, topic, 1))
      narrow:close()
    end)

    it("does not result from timestamps beyond this Lua's integers: they are text", function()
      local topic = topic_of { "1", "2", "3" }
      local list = collect(through "nano /consume/ 0", options(topic))
      assert.equal("1 2 3", values(list))
      for _, message in ipairs(list) do
        assert.equal(_VERSION == "Lua 5.1" and "string" or "number", type(message.timestamp))
        assert.is_truthy(tostring(message.timestamp):find "^%d+000000$")
      end
      assert.equal(3, server:committed(group, topic))
    end)

    it("outside a loop is not acknowledged: details say where it begins and how to get it again", function()
      local topic, narrow = topic_of { "1", "2", big, "4" }, limited(2000)
      local manual = { auto_commit = false, auto_offset_reset = "earliest" }
      local messages, message, details = narrow:consume(group, "one", topic, manual)
      assert.is_nil(messages)
      assert.same({ topic = topic, partition = 0, offset = 0 }, details.position)
      assert.is_truthy(message:find(('at topic "%s", partition 0, offset 0'):format(topic), 1, true))
      assert.is_truthy(details.again:find("delete_consumer", 1, true))
      assert(narrow:delete_consumer(group, "one"))
      manual.max_messages = 2
      assert.equal("1 2", values(assert(narrow:consume(group, "one", topic, manual))))
      assert.equal(2, select(3, narrow:consume(group, "one", topic, manual)).position.offset)
      assert(narrow:commit(group, "one", { topic = topic, partition = 0, offset = 2 }))
      assert(narrow:delete_consumer(group, "one"))
      assert.equal(big .. " 4", values(assert(client:consume(group, "one", topic, manual))))
      narrow:close()
    end)

    it("outside a loop with auto-commit is redelivered after the session", function()
      local topic, narrow = topic_of { big, "2" }, limited(2000)
      local given = { auto_offset_reset = "earliest", session_timeout = 1000, auto_commit_interval = 1 }
      local _, _, details = narrow:consume(group, "one", topic, given)
      assert.is_truthy(details.again:find("session_timeout", 1, true))
      shell.eventually(20, function() return #server:instances(group) == 0 end)
      assert.equal(big .. " 2", values(assert(client:consume(group, "one", topic, given))))
      narrow:close()
    end)

    it("outside a loop has no such details if nothing was executed", function()
      local _, _, details = client:consume(group, "one", "no such topic")
      assert.is_nil(details.again)
      local gone = kafka.new { url = "http://127.0.0.1:1", retries = 0 }
      assert.is_nil(select(3, gone:consume(group, "one", "t")).again)
    end)
  end)

  describe("a body that takes longer than the session", function()
    local core = require "upstash.kafka.core"

    -- Each message takes four tenths of the session, on a clock that only the client has.
    it("for the whole batch keeps the instance alive by commits within the batch", function()
      local topic, now, late = server:topic(1, 4), core.now, 0
      local amid
      core.now = function() return now() + late end
      finally(function() core.now = now end)
      local list = collect(client, options(topic, { session_timeout = 60000 }), function(_, count)
        late = late + 24000
        if count == 4 then amid = server:committed(group, topic) end
      end)
      assert.equal(numbers(1, 4), values(list))
      assert.is_true(amid > 0, "nothing was committed amid the batch")
      assert.equal(4, server:committed(group, topic))
    end)

    it("for a single message still finishes it once, not again and again", function()
      local topic = server:topic(1, 2)
      local list = collect(client, options(topic, { session_timeout = 1000 }), function() core.sleep(1300) end)
      assert.equal(numbers(1, 2), values(list))
      assert.equal(2, server:committed(group, topic))
    end)
  end)

  describe("with from = 'latest'", function()
    local function latest(topic, more)
      local all = options(topic, { from = "latest" })
      for key, value in pairs(more or {}) do all[key] = value end
      return all
    end

    it("yields messages that arrive after the start of the loop, and no earlier ones", function()
      local topic = server:topic(2, 10)
      local producer = shell.start(("sh -c 'sleep 0.5; exec %s produce %s late'"):format(shell.command, topic),
        { environment = server:environment() })
      local list = collect(client, latest(topic, { limit = 1, idle = 60000 }))
      producer:remove()
      assert.equal("late", values(list))
    end)

    it("skips nothing that arrives between noting the end and the first consume", function()
      local core = require "upstash.kafka.core"
      local topic, consume = server:topic(1, 5), core.methods.consume
      function core.methods.consume(...)
        core.methods.consume = consume
        server:fill(topic, 6, 8, 1)
        return consume(...)
      end
      assert.equal("6 7 8", values(collect(client, latest(topic))))
    end)

    it("commits its starting point before it hands out the first message", function()
      local topic = server:topic(2, 10)
      collect(client, latest(topic, { idle = 0 }))
      assert.equal(5, server:committed(group, topic, 0))
      assert.equal(5, server:committed(group, topic, 1))
    end)

    it("gets the first batch again after a crash", function()
      local topic = server:topic(1, 5)
      collect(client, latest(topic, { idle = 0 }))
      server:fill(topic, 6, 8, 1)
      local next_message, loop = client:messages(latest(topic))
      assert.equal("6", next_message(loop).value) -- and this loop is not used again
      assert.equal("6 7 8", values(collect(client, latest(topic))))
    end)

    for number = 1, 2 do
      it(("skips nothing if the response to consume %d is lost"):format(number), function()
        local topic = server:topic(1, 5)
        collect(client, latest(topic, { idle = 0 }))
        server:fill(topic, 6, 9, 1)
        local lossy = through(("lose /consume/ %d"):format(number))
        assert.equal("6 7 8 9", values(collect(lossy, latest(topic, { idle = 60000, max_messages = 2, limit = 4 }))))
      end)
    end

    it("does not change existing commits", function()
      local topic = server:topic(1, 5)
      collect(client, options(topic, { limit = 2 }))
      assert.equal("3 4 5", values(collect(client, latest(topic))))
    end)
  end)

  describe("with from = 'none'", function()
    it("raises if the group has no commit", function()
      local fine, err = pcall(collect, client, options(server:topic(1, 1), { from = "none" }))
      assert.is_false(fine)
      assert.equal("bad_request", err.code)
    end)
  end)

  it("continues over a restart of the server, without losing or repeating a message", function()
    local own = support.start()
    local port = own.url:match ":(%d+)$"
    local topic = own:topic(1, 6)
    local patient = own:client { retries = 0, retry_delay = 1 }
    local list = collect(patient, options(topic, { idle = 60000, limit = 6, max_messages = 4 }), function(_, count)
      if count == 3 then own:restart("127.0.0.1:" .. port) end
    end)
    assert.equal(numbers(1, 6), values(list))
    assert.equal(6, own:committed(group, topic))
    patient:close()
    own:stop()
  end)

  describe("two loops of a group", function()
    it("share the partitions and hand out each message", function()
      local topic, seen = server:topic(2, 0), {}
      local other = server:client()
      local first, loop = client:messages(options(topic, { idle = 0 }))
      local second, other_loop = other:messages(options(topic, { instance = "two", idle = 0 }))
      assert.is_nil(first(loop))
      assert.is_nil(second(other_loop))
      first, loop = client:messages(options(topic, { idle = 500, timeout = 50 }))
      second, other_loop = other:messages(options(topic, { instance = "two", idle = 500, timeout = 50 }))
      server:fill(topic, 1, 20, 2)
      repeat
        local one = first(loop)
        local two = second(other_loop)
        for _, message in ipairs { one or two, two } do seen[tonumber(message.value)] = true end
      until not one and not two
      assert.equal(20, #seen)
      assert.equal(10, server:committed(group, topic, 0))
      assert.equal(10, server:committed(group, topic, 1))
      other:close()
    end)
  end)

  describe("failures", function()
    it("that may pass are waited out, and raised after idle", function()
      local dead = kafka.new { url = "http://127.0.0.1:1", retries = 0, retry_delay = 1 }
      local fine, err = pcall(collect, dead, options("any", { idle = 200 }))
      assert.is_false(fine)
      assert.equal("connect_failed", err.code)
      assert.is_true(err.retriable)
      assert.is_nil(err.status)
    end)

    it("that are permanent are raised at once", function()
      local stranger = server:client { password = "wrong" }
      local fine, err = pcall(collect, stranger, options "any")
      assert.is_false(fine)
      assert.equal(401, err.status)
      assert.equal("unauthorized", err.code)
      assert.equal(err.error, tostring(err))
    end)

    it("because of an invalid topic name the topic", function()
      local fine, err = pcall(collect, client, options "__consumer_offsets")
      assert.is_false(fine)
      assert.equal(404, err.status)
      assert.is_truthy(tostring(err):find("__consumer_offsets", 1, true))
    end)

    it("end the loop", function()
      local next_message, loop = client:messages(options "__consumer_offsets")
      assert.is_false(pcall(next_message, loop))
      assert.is_nil(next_message(loop))
    end)
  end)

  describe("misuse raises, blaming the caller's line, for", function()
    local line = debug.getinfo(1, "l").currentline + 2 -- of the call in `blame`
    local function blame(method, given)
      client[method](client, given)
      return nil -- no tail call above
    end

    local cases = {
      { options("t", { group = 7 }), "group: non-empty string expected, got 7" },
      { { instance = "i", topic = "t" }, "group: non-empty string expected, got nil" },
      { options(""), "topic: non-empty string expected, got ''" },
      { options(nil), "topic or topics: exactly one of them expected" },
      { options("t", { topics = { "u" } }), "topic or topics: exactly one of them expected" },
      { options(nil, { topics = {} }), "topics: list of non-empty strings expected, got table" },
      { options("t", { from = "start" }), "from: 'earliest', 'latest' or 'none' expected, got 'start'" },
      { options("t", { limit = -1 }), "limit: integer >= 0 expected, got -1" },
      { options("t", { max_messages = 0 }), "max_messages: integer >= 1 expected, got 0" },
      { options("t", { idle = 1.5 }), "idle: integer >= 0 expected, got 1.5" },
      { options("t", { timeout = "1" }), "timeout: integer >= 0 expected, got '1'" },
      { options("t", { autocommit = true }), "unknown option 'autocommit'" },
      { "t", "table expected, got string" },
    }
    for _, case in ipairs(cases) do
      for _, method in ipairs { "messages", "batches" } do
        it(method .. ": " .. case[2], function()
          if type(case[1]) == "table" and case[1].group == nil and case[1].idle then case[1].group = "g" end
          local fine, err = pcall(blame, method, case[1])
          assert.is_false(fine)
          assert.equal(("spec/consumer_spec.lua:%d: bad argument #1 to '%s' (%s)"):format(line, method, case[2]),
            (err:gsub("^.*/spec/", "spec/")))
        end)
      end
    end

    it("a method called with a dot", function()
      local fine, err = pcall(function() client.messages(options "t") end)
      assert.is_false(fine)
      assert.is_truthy(err:find("write client:messages{…}", 1, true))
    end)

    it("a closed client", function()
      local closed = server:client()
      closed:close()
      local next_message, loop = closed:messages(options "t")
      local fine, err = pcall(next_message, loop)
      assert.is_false(fine)
      assert.is_truthy(err:find("client is closed", 1, true))
    end)

    it("a loop that is closed after its client", function()
      local own = server:client()
      local next_message, loop = own:messages(options(server:topic(1, 2), { group = "late" }))
      assert.equal("1", next_message(loop).value)
      own:close()
      local line_of_close = debug.getinfo(1, "l").currentline + 1
      local fine, err = pcall(function() local _ = loop:close() end)
      assert.is_false(fine)
      assert.is_truthy(err:find(("consumer_spec.lua:%d: client is closed"):format(line_of_close), 1, true), err)
    end)
  end)
end)
