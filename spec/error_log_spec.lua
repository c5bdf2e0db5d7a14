-- for: error_log.c, dispatch.c, log.c, kafka_topics.c. What `serve` tells its operator on standard
-- error, once.

local folder = require "spec.support.folder"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"

describe("C3: the error log", function()
  local data, process, url

  local function serve(words)
    data = folder.name()
    process = shell.start(("%s serve --listen 127.0.0.1:0 --data %s --username u --password p %s"):format(
      shell.command, data, words))
    url = process:expect "listening on (%S+)\n"
  end

  after_each(function()
    process:remove()
    folder.remove(data)
  end)

  local function client(password)
    return kafka.new { url = url, username = "u", password = password or "p", retries = 0 }
  end

  -- Stops the server, and returns its lines on standard error.
  local function lines()
    process:signal "TERM"
    assert.equal(0, process:wait())
    return process:errors()
  end

  it("is empty if nothing is wrong", function()
    serve ""
    assert(client():produce("t", "hello"))
    assert.equal("", lines())
  end)

  it("has one line for requests with wrong credentials", function()
    serve ""
    local wrong = client "hush-hush"
    for _ = 1, 3 do
      local _, _, details = wrong:topics()
      assert.equal(401, details.status)
    end
    wrong:close()
    local logged = lines()
    assert.equal("upstash-kafka: a request with wrong credentials, or without any, was refused (401)\n", logged)
    assert.is_nil(logged:find("hush", 1, true))
  end)

  it("has one line for a full log", function()
    serve "--map-bytes 2000000"
    local producer, message = client(), nil
    for _ = 1, 100 do
      local stored
      stored, message = producer:produce("t", ("x"):rep(90000))
      if not stored then break end
    end
    assert.equal("the log is full (map_bytes 2000000)", message)
    for _ = 1, 3 do assert.is_nil((producer:produce("t", ("x"):rep(90000)))) end
    producer:close()
    assert.equal("upstash-kafka: the log is full (map_bytes 2000000)\n", lines())
  end)

  it("says why no broker can be reached", function()
    serve "--brokers nowhere.invalid:9092"
    shell.eventually(60, function()
      return process:errors():find "upstash%-kafka: the Kafka cluster does not answer: [^\n]*nowhere%.invalid[^\n]*\n"
    end)
    assert.equal(1, select(2, lines():gsub("does not answer", "")))
  end)
end)
