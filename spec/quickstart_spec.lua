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

  it("quickstart: every line of a file comes back, and how to go on is said", function()
    for _ = 1, 2 do
      local status, out, err = example "quickstart.lua"
      assert.equal(0, status, err)
      assert.is_truthy(out:find("every line came back as it was sent", 1, true), out)
      assert.is_truthy(out:find("UPSTASH_KAFKA_REST_PASSWORD", 1, true))
      assert.is_truthy(out:find("upstash-kafka serve", 1, true))
    end
  end)

  it("quickstart takes another file", function()
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

  it("produce says what failed", function()
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
    status, out, err = shell.run(words, { environment = environment, input = "four\n\255\n" }) -- any bytes
    assert.equal(0, status, err)
    assert.is_truthy(out:find("2 sent, 2 delivered", 1, true), out)
    client = server:client { binary = true }
    assert.equal("\255", assert(client:fetch("lines", 0, 0))[5].value)
    client:close()
  end)

  it("worker handles what is there and what comes", function()
    local topic = server:topic(1, 3)
    local worker = shell.start(("%s examples/worker.lua %s w1"):format(shell.lua, topic),
      { environment = environment })
    worker:expect "w1\t0\t2\t3\n"
    server:fill(topic, 4, 4, 1)
    worker:expect "w1\t0\t3\t4\n"
    worker:remove()
  end)
end)
