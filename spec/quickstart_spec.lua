local shell = require "spec.support.shell"
local support = require "spec.support.server"

describe("F5: examples", function()
  local server, environment

  setup(function()
    server = support.start()
    environment = server:environment()
  end)
  teardown(function() server:stop() end)

  local function example(words)
    local status, out, err = shell.run(shell.lua .. " examples/" .. words, { environment = environment })
    return status, out, err
  end

  it("quickstart: every line of a file comes back, and the next steps are shown", function()
    for _ = 1, 2 do
      local status, out, err = example "quickstart.lua"
      assert.equal(0, status, err)
      assert.is_truthy(out:find("every line came back as it was sent", 1, true), out)
      assert.is_truthy(out:find("UPSTASH_KAFKA_REST_PASSWORD", 1, true))
      assert.is_truthy(out:find("upstash-kafka serve", 1, true))
    end
  end)

  it("quickstart accepts another file", function()
    local status, out, err = example "quickstart.lua examples/quickstart.lua"
    assert.equal(0, status, err)
    assert.is_truthy(out:find("lines of examples/quickstart.lua", 1, true))
  end)

  it("quickstart leaves no topic behind", function()
    local client = server:client()
    for name in pairs(assert(client:topics())) do assert.is_nil(name:find "^quickstart") end
    client:close()
  end)

  it("produce and replay", function()
    local status, out, err = example "produce.lua said hello"
    assert.equal(0, status, err)
    assert.equal("partition 0, offset 0\n", out)
    status, out, err = example "replay.lua said 0"
    assert.equal(0, status, err)
    assert.is_truthy(out:find "^0\t%d%d:%d%d:%d%d\thello\n$", out)
  end)

  it("replay prints only the last hour of its partition", function()
    local topic, client = server:topic(2, 0), server:client()
    local now = os.time() * 1000
    for partition, values in pairs { [0] = { other = 0 }, { old = 3660, young = 3540, new = 0 } } do
      for value, age in pairs(values) do
        assert(client:produce(topic, value, { partition = partition, timestamp = now - age * 1000 }))
      end
    end
    client:close()
    local status, out, err = example("replay.lua " .. topic .. " 1")
    assert.equal(0, status, err)
    assert.truthy(out:find("\tyoung\n", 1, true), out)
    assert.truthy(out:find("\tnew\n", 1, true), out)
    assert.is_nil(out:find("other", 1, true), out)
  end)

  it("producer reports messages that were not delivered", function()
    local strict = support.start { max_message_bytes = 100 }
    local line = ("x"):rep(101)
    local status, out, err = shell.run(shell.lua .. " examples/producer.lua lines", {
      environment = strict:environment(), input = "one\n" .. line .. "\n" })
    strict:stop()
    assert.equal(1, status)
    assert.truthy(out:find("2 sent, 1 delivered", 1, true), out)
    assert.truthy(err:find('not delivered: "' .. line .. '": ', 1, true), err)
  end)

  it("produce reports a failure", function()
    local status, _, err = example "produce.lua not/a/topic hello"
    assert.equal(1, status)
    assert.is_truthy(err:find("not produced: ", 1, true), err)
    assert.is_truthy(err:find("bad_request", 1, true), err)
  end)

  it("producer sends the lines of its input", function()
    local words = shell.lua .. " examples/producer.lua lines"
    local status, out, err = shell.run(words, { environment = environment, input = "one\ntwo\nthree\n" })
    assert.equal(0, status, err)
    assert.is_truthy(out:find "^3 sent, 3 delivered, half of them within %d+ ms\n$", out)
    local client = server:client()
    assert.equal("three", assert(client:fetch("lines", 0, 0))[3].value)
    client:close()
    -- any bytes
    status, out, err = shell.run(words, { environment = environment, input = "four\n\255\n" })
    assert.equal(0, status, err)
    assert.is_truthy(out:find("2 sent, 2 delivered", 1, true), out)
    client = server:client { binary = true }
    assert.equal("\255", assert(client:fetch("lines", 0, 0))[5].value)
    client:close()
  end)

  it("worker handles existing and new messages", function()
    local topic = server:topic(1, 3)
    local worker = shell.start(("%s examples/worker.lua %s w1"):format(shell.lua, topic),
      { environment = environment })
    worker:expect "w1\t0\t2\t3\n"
    server:fill(topic, 4, 4, 1)
    worker:expect "w1\t0\t3\t4\n"
    worker:remove()
  end)
end)
