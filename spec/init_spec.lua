local shell = require "spec.support.shell"
local support = require "spec.support.server"

-- Runs a script in its own Lua process. Returns its status, output and errors.
local function script(text, environment)
  return shell.run(shell.lua .. " - ", { input = text, environment = environment })
end

describe("upstash.kafka", function()
  local server

  setup(function() server = support.start() end)
  teardown(function() server:stop() end)

  local function environment()
    return server:environment()
  end

  describe("when it is loaded", function()
    it("touches no global and does not load lua-cjson", function()
      local status, out, err = script [[
        local before = {}
        for name, value in pairs(_G) do before[name] = value end
        local kafka = require "upstash.kafka"
        for name, value in pairs(_G) do
          if before[name] ~= value then print("global " .. tostring(name)) end
        end
        for name in pairs(before) do
          if _G[name] == nil then print("lost " .. tostring(name)) end
        end
        print(package.loaded.cjson == nil, kafka._VERSION)
      ]]
      assert.equal(0, status, err)
      assert.equal("true\t" .. require("upstash.kafka")._VERSION .. "\n", out)
    end)

    it("has null, which is lua-cjson's", function()
      assert.equal(require("cjson").null, require("upstash.kafka").null)
    end)

    it("has every method of a client as a function", function()
      local kafka, core = require "upstash.kafka", require "upstash.kafka.core"
      for name in pairs(core.methods) do assert.equal("function", type(kafka[name]), name) end
    end)
  end)

  describe("kafka.new", function()
    local kafka = require "upstash.kafka"

    it("reads missing options from the environment", function()
      local status, out, err = script([[
        local kafka = require "upstash.kafka"
        print(next(assert(kafka.new():topics())))
        print(select(3, kafka.new { password = "other" }:topics()).status)
        print(select(3, kafka.new { url = "http://127.0.0.1:1", retries = 0 }:topics()).code)
      ]], environment())
      assert.equal(0, status, err)
      assert.equal("nil\n401\nconnect_failed\n", out)
    end)

    it("D9: sends the environment's credentials only to its own URL", function()
      local port = server.url:match ":(%d+)$"
      local status, out, err = script(([[
        local kafka = require "upstash.kafka"
        local function sends(options) return kafka.new(options):prepare("topics").headers.Authorization ~= nil end
        print(sends(), sends {}, sends { url = "http://127.0.0.1:PORT" }, sends { url = "http://127.0.0.1:PORT//" })
        for _, url in ipairs { "http://elsewhere", "https://127.0.0.1:PORT", "http://127.0.0.1",
          "http://127.0.0.1:PORT/x", "http://127.0.0.1:PORT0", "http://127.0.0.2:PORT", "http://localhost:PORT", "http://unix:/run/socket" } do
          if sends { url = url } then print("to " .. url) end
          assert(sends { url = url, username = "u", password = "p" })
        end]]):gsub("PORT", port), environment())
      assert.equal(0, status, err)
      assert.equal("true\ttrue\ttrue\ttrue\n", out)
    end)

    it("D9: does not send them if the environment has no URL", function()
      local status, out, err = script([[
        print(require("upstash.kafka").new { url = "http://elsewhere" }:prepare("topics").headers.Authorization)
      ]], { UPSTASH_KAFKA_REST_USERNAME = "user", UPSTASH_KAFKA_REST_PASSWORD = "secret" })
      assert.equal(0, status, err)
      assert.equal("nil\n", out)
    end)

    it("D9: says which one is missing, and why", function()
      for given, said in pairs {
        ["password = 'p'"] = "username: missing; UPSTASH_KAFKA_REST_USERNAME goes only with UPSTASH_KAFKA_REST_URL",
        ["username = 'u'"] = "password: missing; UPSTASH_KAFKA_REST_PASSWORD goes only with UPSTASH_KAFKA_REST_URL",
      } do
        local text = "\nlocal client = require('upstash.kafka').new { url = 'http://elsewhere', %s }"
        local status, _, err = script(text:format(given), environment())
        assert.equal(1, status)
        assert.is_truthy(err:find("stdin:2: bad argument #1 to 'new' (" .. said .. ")", 1, true), err)
      end
      local _, message, details = kafka.new({ url = server.url }):topics()
      assert.equal("unauthorized", details.code)
      assert.equal(message, details.error)
      assert.is_truthy(message:find("no credentials were sent: username and password are missing", 1, true), message)
      local _, other = kafka.new({ url = server.url, username = "u", password = "p" }):topics()
      assert.is_nil(other:find "missing")
    end)

    it("treats null as absent", function()
      local status, out, err = script([[
        local kafka = require "upstash.kafka"
        local all = {}
        for _, field in ipairs { "url", "username", "password", "timeout", "connect_timeout", "retries", "retry_delay",
          "retry_delay_max", "binary", "compress", "verify", "ca_file", "max_response_bytes", "encode" } do
          all[field] = kafka.null
        end
        local client = kafka.new(all)
        print(next(assert(client:topics())), client:settings().timeout, client:settings().verify)
        print(client:prepare("produce", "t", { 1 }).body)
      ]], environment())
      assert.equal(0, status, err)
      assert.equal('nil\t30000\ttrue\n{"value":"[1]"}\n', out)
    end)

    it("does not change its argument", function()
      local options = { url = server.url }
      kafka.new(options)
      assert.same({ url = server.url }, options)
    end)

    local line = debug.getinfo(1, "l").currentline + 2 -- of the call in `make`
    local function make(options)
      local client = kafka.new(options)
      return client
    end

    for text, options in pairs {
      ["table expected, got string"] = "http://127.0.0.1",
      ["unknown option 'user'"] = { url = "http://127.0.0.1", user = "u" },
      ["timeout: integer expected, got string"] = { url = "http://127.0.0.1", timeout = "soon" },
      ["(url: string expected, UPSTASH_KAFKA_REST_URL is not set)"] = {},
    } do
      it("blames the caller's line for: " .. text, function()
        local fine, err = pcall(make, options)
        assert.is_false(fine)
        assert.is_truthy(err:find(("init_spec.lua:%d: bad argument #1 to 'new' ("):format(line), 1, true), err)
        assert.is_truthy(err:find(text, 1, true), err)
      end)
    end
  end)

  describe("functions of the module", function()
    it("use a client created from the environment: the shortest script has two lines", function()
      local status, out, err = script([[
        local kafka = require "upstash.kafka"
        print(kafka.produce("shortest", "hello").offset)
        print(kafka.fetch("shortest", 0, 0)[1].value)
        for message in kafka.messages { group = "g", instance = "i", topic = "shortest", from = "earliest", idle = 0 } do
          print(message.value)
        end
        for message in kafka.records { topic = "shortest", partition = 0, to = "latest" } do print(message.value) end
        print(select(3, kafka.fetch("no-such-topic", 0, 0)).code)
        kafka.close()
        print(kafka.topics().shortest)
      ]], environment())
      assert.equal(0, status, err)
      assert.equal("0\nhello\nhello\nhello\nnot_found\n1\n", out)
    end)

    it("share one client until it is closed", function()
      local status, out, err = script([[
        local core = require "upstash.kafka.core"
        local new, topics, made, seen = core.new, core.methods.topics, {}, {}
        core.new = function(...)
          made[#made + 1] = new(...)
          return made[#made]
        end
        core.methods.topics = function(client)
          seen[#seen + 1] = client
          return {}
        end
        local kafka = require "upstash.kafka"
        kafka.topics()
        kafka.topics()
        kafka.close()
        kafka.close()
        kafka.topics()
        print(#made, seen[1] == made[1], seen[2] == made[1], seen[3] == made[2])
        print(pcall(topics, made[1]))
      ]], environment())
      assert.equal(0, status, err)
      assert.is_truthy(out:find "^2\ttrue\ttrue\ttrue\nfalse\t[^\n]*client is closed\n$", out)
    end)

    it("return as many values as the methods do", function()
      local status, out, err = script([[
        local kafka = require "upstash.kafka"
        print(select("#", kafka.topics()), select("#", kafka.fetch("no-such-topic", 0, 0)))
        print(select("#", kafka.messages { group = "g", instance = "i", topic = "t" }), select("#", kafka.close()))
      ]], environment())
      assert.equal(0, status, err)
      assert.equal("1\t3\n4\t0\n", out)
    end)

    it("say what is missing, and blame the caller's line", function()
      local status, _, err = script 'local kafka = require "upstash.kafka"\nkafka.topics()\n'
      assert.equal(1, status)
      assert.is_truthy(err:find("stdin:2: kafka.topics needs UPSTASH_KAFKA_REST_URL", 1, true), err)
    end)

    it("blame the caller's line for misuse", function()
      local text = 'local kafka = require "upstash.kafka"\n\n%s\n'
      for call, said in pairs {
        ["kafka.produce(7, 'x')"] = "stdin:3: bad argument #1 to 'produce'",
        ["kafka.produce('t', 'x', { nokey = 1 })"] = "stdin:3: bad argument #3 to 'produce' (unknown option 'nokey')",
        ["kafka.messages { group = 1 }"] = "stdin:3: bad argument #1 to 'messages' (group: non-empty string expected",
        ["kafka.records {}"] = "stdin:3: bad argument #1 to 'records' (partition: integer >= 0 expected, got nil)",
      } do
        local status, _, err = script(text:format(call), environment())
        assert.equal(1, status)
        assert.is_truthy(err:find(said, 1, true), err)
      end
    end)
  end)
end)
