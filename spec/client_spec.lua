local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

describe("a client", function()
  local server, client

  setup(function()
    server = support.start()
    client = server:client()
  end)
  teardown(function()
    client:close()
    server:stop()
  end)

  -- Produces a value to a new topic and fetches it back.
  local function back(value, options)
    local topic = server:topic(1, 0)
    assert(client:produce(topic, value, options))
    return assert(client:fetch(topic, 0, 0))[1]
  end

  it("is core's userdata", function()
    assert.equal("userdata", type(client))
    assert.is_truthy(tostring(client):find("upstash.kafka.client", 1, true))
  end)

  describe("JSON values", function()
    it("are tables on both sides", function()
      local value = { name = "müller", list = { 1, 2.5, false }, nested = { null = kafka.null } }
      local message = back(value)
      assert.same(value, message:json())
    end)

    it("may be any JSON when decoded", function()
      for text, value in pairs { ["7"] = 7, ["\"x\""] = "x", ["false"] = false, ["[1,2]"] = { 1, 2 } } do
        assert.same(value, (back(text):json()))
      end
      assert.equal(kafka.null, (back("null"):json()))
    end)

    it("that are not JSON return nil, a message and details", function()
      for _, text in ipairs { "", "{", "hello", "[nan]", "{\"a\":1}}" } do
        local value, err, details = back(text):json()
        assert.is_nil(value)
        assert.is_truthy(err:find("^the value is not JSON: "), err)
        assert.same({ error = err, code = "bad_response", retriable = false }, details)
      end
    end)

    it("of a tombstone return nil and a message that says so", function()
      local value, err, details = back(kafka.null):json()
      assert.is_nil(value)
      assert.equal("the message has no value: it is a tombstone", err)
      assert.same({ error = err, code = "bad_response", retriable = false }, details)
    end)

    it("follow the program's lua-cjson settings", function()
      local cjson = require "cjson"
      cjson.encode_sparse_array(true)
      finally(function() cjson.encode_sparse_array(false, 2, 10) end)
      local sparse = back { [1] = "a", [50] = "b" }:json()
      assert.same({ ["1"] = "a", ["50"] = "b" }, sparse)
      if cjson.empty_array then assert.equal("[]", back({ cjson.empty_array }).value:sub(2, -2)) end
    end)

    it("that cannot be encoded raise, blaming the caller's line", function()
      local line = debug.getinfo(1, "l").currentline + 1
      local fine, err = pcall(function() local _ = client:produce("t", { f = print }) end)
      assert.is_false(fine)
      local text = "client_spec.lua:%d: bad argument #2 to 'produce' (value.f: a function is not JSON)"
      assert.is_truthy(err:find(text:format(line), 1, true), err)
    end)

    it("leave the program's lua-cjson settings alone, and ignore those for numbers", function()
      local cjson = require "cjson"
      back { 1 }:json()
      assert.is_true(cjson.decode_invalid_numbers())
      cjson.encode_number_precision(3)
      assert.equal(0.12345678, back { n = 0.12345678 }:json().n)
      cjson.encode_number_precision(14)
    end)

    it("A2: keep every digit of a number, in every call", function()
      local value = { id = 123456789012345, lat = 52.520006599999, third = 1 / 3, small = 5e-324 }
      local topic, producer = server:topic(1, 0), client:producer {}
      assert(client:produce(topic, value))
      assert(client:produce_many(topic, { { value = value } }))
      assert(client:produce_many { { topic = topic, value = value } })
      assert(producer:send(topic, value))
      assert(producer:close(20000))
      local messages = assert(client:fetch(topic, 0, 0))
      assert.equal(4, #messages)
      for _, message in ipairs(messages) do
        assert.truthy(message.value:find('"id":123456789012345[,}]'), message.value)
        assert.truthy(message.value:find('"lat":52.520006599999[,}]'), message.value)
        assert.same(value, message:json())
      end
    end)

    it("A2: name the integer that does not fit", function()
      local text = math.type and "9223372036854775808" or "9007199254740993" -- luacheck: compat
      local value, err, details = back(('{"id":%s}'):format(text)):json()
      assert.is_nil(value)
      assert.truthy(err:find("^the value: " .. text .. " does not fit this Lua's numbers"), err)
      assert.same({ error = err, code = "integer_range", retriable = false }, details)
    end)

    it("B2: accept null for optional options", function()
      local message = back("v", { key = kafka.null, headers = { a = kafka.null }, partition = kafka.null,
        timestamp = kafka.null })
      assert.same({ "", { { key = "a", value = "" } } }, { message.key, message.headers })
      local producer = client:producer { name = kafka.null, linger = kafka.null }
      local topic = server:topic(1, 0)
      assert(producer:send(topic, "v", { key = kafka.null, headers = { { key = "a", value = kafka.null } },
        partition = kafka.null, timestamp = kafka.null }))
      assert(producer:close(20000))
      for sent in client:records { topic = topic, partition = 0, from = kafka.null, idle = 0, limit = kafka.null } do
        assert.same({ "", { { key = "a", value = "" } } }, { sent.key, sent.headers })
      end
      for sent in client:messages { group = "nulls", instance = "one", topic = topic, topics = kafka.null,
        from = "earliest", limit = 1, timeout = kafka.null } do
        assert.equal("v", sent.value)
      end
    end)

    it("can use another encoder", function()
      local other = server:client { encode = function(value) return "<" .. #value .. ">" end }
      local topic = server:topic(1, 0)
      assert(other:produce(topic, { 1, 2, 3 }))
      assert.equal("<3>", assert(other:fetch(topic, 0, 0))[1].value)
      other:close()
    end)

    it("C12: need no lua-cjson", function()
      local topic = server:topic(1, 0)
      local status, out, err = shell.run(shell.lua .. " -", { environment = server:environment(), input = [[
        package.preload.cjson = function() error "there is none" end
        local kafka = require "upstash.kafka"
        local client = kafka.new()
        assert(client:produce("]] .. topic .. [[", { list = { 1, 2 }, none = kafka.null, empty = {} }))
        local message = assert(client:fetch("]] .. topic .. [[", 0, 0))[1]
        local value = message:json()
        print(#value.list, value.none == kafka.null, next(value.empty))
      ]] })
      assert.same({ 0, "2\ttrue\tnil\n", "" }, { status, out, err })
    end)
  end)

  it("has the loops among its methods", function()
    local core = require "upstash.kafka.core"
    for _, name in ipairs { "messages", "batches", "records" } do
      assert.equal("function", type(core.methods[name]))
      assert.equal(core.methods[name], client[name])
    end
  end)
end)

describe("core's clock", function()
  local core = require "upstash.kafka.core"

  it("advances by the time slept", function()
    local began = core.now()
    core.sleep(50)
    assert.is_true(core.now() - began >= 49)
  end)

  it("refuses an invalid time", function()
    for _, wrong in ipairs { -1, "soon", 1e12 } do assert.is_false(pcall(core.sleep, wrong)) end
  end)
end)
