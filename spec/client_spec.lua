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

  -- The one message of a new topic.
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

    it("may be any JSON when they are read", function()
      for text, value in pairs { ["7"] = 7, ["\"x\""] = "x", ["false"] = false, ["[1,2]"] = { 1, 2 } } do
        assert.same(value, (back(text):json()))
      end
      assert.equal(kafka.null, (back("null"):json()))
    end)

    it("that are none give nil, a text and details", function()
      for _, text in ipairs { "", "{", "hello", "[nan]", "{\"a\":1}}" } do
        local value, err, details = back(text):json()
        assert.is_nil(value)
        assert.is_truthy(err:find("^the value is not JSON: "), err)
        assert.same({ error = err, code = "bad_response", retriable = false }, details)
      end
    end)

    it("of a tombstone give nil and say so", function()
      local value, err = back(kafka.null):json()
      assert.is_nil(value)
      assert.is_truthy(err:find("tombstone", 1, true))
    end)

    it("that cannot be encoded raise, blaming the caller's line", function()
      local line = debug.getinfo(1, "l").currentline + 1
      local fine, err = pcall(function() local _ = client:produce("t", { f = print }) end)
      assert.is_false(fine)
      assert.is_truthy(err:find(("client_spec.lua:%d: value: Cannot serialise function"):format(line), 1, true), err)
    end)

    it("leave the program's settings of lua-cjson alone", function()
      local cjson = require "cjson"
      back { 1 }:json()
      assert.is_true(cjson.decode_invalid_numbers())
      cjson.encode_number_precision(3)
      assert.equal(0.12345678, back { n = 0.12345678 }:json().n)
      cjson.encode_number_precision(14)
    end)

    it("take another encoder", function()
      local other = server:client { encode = function(value) return "<" .. #value .. ">" end }
      local topic = server:topic(1, 0)
      assert(other:produce(topic, { 1, 2, 3 }))
      assert.equal("<3>", assert(other:fetch(topic, 0, 0))[1].value)
      other:close()
    end)

    it("say what to install where lua-cjson is missing", function()
      local status, out, err = shell.run(shell.lua .. " -", { input = [[
        package.preload.cjson = function() error "there is none" end
        local kafka = require "upstash.kafka"
        local client = kafka.new { url = "http://127.0.0.1:1", retries = 0 }
        print(pcall(client.produce, client, "t", "text is fine"))
        print(pcall(client.produce, client, "t", {}))
        client:produce("t", {})
      ]] })
      assert.equal(1, status)
      assert.is_truthy(out:find("false\tJSON values need lua-cjson: luarocks install lua-cjson", 1, true), out)
      assert.is_truthy(err:find("stdin:6: JSON values need lua-cjson", 1, true), err)
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

  it("goes forward by what is slept", function()
    local began = core.now()
    core.sleep(50)
    local took = core.now() - began
    assert.is_true(took >= 49 and took < 1000, took .. " ms")
  end)

  it("refuses what is no time", function()
    for _, wrong in ipairs { -1, "soon", 1e12 } do assert.is_false(pcall(core.sleep, wrong)) end
  end)
end)
