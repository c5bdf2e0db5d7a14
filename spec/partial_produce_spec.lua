-- for: partial_produce.c
--
-- How the client reads the response to a partly stored produce.

local core = require "upstash.kafka.core"
local canned = require "spec.support.canned_server"

local STORED = '{"topic":"t","partition":1,"offset":2,"timestamp":3}'
local PASSES = '{"error":"topic \\"t\\" partition 0: moving","status":503}'
local STAYS = '{"error":"too large","status":413}'

local function body(...)
  return '{"error":"[1]: no; 1 of 2 messages failed","status":504,"results":[' .. table.concat({ ... }, ",") .. "]}"
end

local client

before_each(function() client = core.new { url = "http://127.0.0.1:1", retries = 0 } end)
after_each(function() client:close() end)

local function finish(method, text, ...)
  return client:finish(assert(client:prepare(method, ...)), 504, nil, text)
end

local TWO = { { value = "a" }, { value = "b" } }

describe("results of a produce", function()
  it("have the metadata or the error of each message", function()
    local result, message, details = finish("produce_many", body(STORED, PASSES), "t", TWO)
    assert.is_nil(result)
    assert.equal("messages[2]: no; 1 of 2 messages failed", message)
    assert.same({
      error = message, status = 504, code = "gateway_timeout", retriable = false,
      results = {
        { topic = "t", partition = 1, offset = 2, timestamp = 3 },
        { error = 'topic "t" partition 0: moving', status = 503, code = "unavailable", retriable = true },
      },
    }, details)
    details = select(3, finish("produce_many", body(STAYS, STORED), "t", TWO))
    assert.same({ error = "too large", status = 413, code = "too_large", retriable = false }, details.results[1])
  end)

  it("must be as many as the messages", function()
    local _, message, details = finish("produce_many", body(STORED, PASSES, STAYS), "t", TWO)
    assert.equal("the response: metadata of 2 messages expected, got 3", message)
    assert.same({ error = message, code = "bad_response", status = 504, retriable = false }, details)
  end)

  it("are refused if they are malformed", function()
    local _, message, details = finish("produce_many", body(STORED, '{"offset":1}'), "t", TWO)
    assert.equal("element 2 of the response: topic expected in the result, got none", message)
    assert.equal("bad_response", details.code)
    assert.is_nil(details.results)
  end)

  it("are read for a produce only", function()
    local _, message, details = finish("fetch", body "5", "t", 0, 0)
    assert.equal("offsets[2]: no; 1 of 2 messages failed", message)
    assert.is_true(details.retriable)
    assert.is_nil(details.results)
  end)

  it("are forgotten when a later attempt fails", function()
    local partial = body(STORED, PASSES):gsub("504", "503", 1)
    local server = canned.start { "accept", "read", canned.answer(503, partial, { "Connection: close" }), "close",
      "accept", "read", "close" }
    local eager = core.new { url = server.url, retries = 1, retry_delay = 1, idempotent = true }
    local _, message, details = eager:produce_many("t", TWO)
    eager:close()
    server:finish()
    assert.same({ error = message, code = "connection_lost", retriable = true }, details)
  end)

  it("stop the client from retrying the whole request", function()
    local partial = body(STORED, PASSES):gsub("504", "503", 1)
    local server = canned.start { "accept", "read", canned.answer(503, partial), "read" }
    local eager = core.new { url = server.url, retries = 3, retry_delay = 1 }
    local details = select(3, eager:produce_many("t", TWO))
    eager:close()
    assert.equal(2, #details.results)
    assert.equal("late: read", server:finish()[2])
    assert.is_nil(core.retry_delay(1, details, { method = "produce_many" }))
    details.results = nil
    assert.is_number(core.retry_delay(1, details, { method = "produce_many" }))
  end)
end)
