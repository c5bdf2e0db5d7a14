-- The loop over a partition whose offsets have gaps, as in Kafka, and over responses with more
-- messages than requested.

local canned = require "spec.support.canned_server"
local kafka = require "upstash.kafka"

local function messages(...)
  local list = {}
  for index, offset in ipairs { ... } do
    list[index] = ('{"topic":"t","partition":0,"offset":%d,"timestamp":1,"key":"","value":"v","headers":[]}')
      :format(offset)
  end
  return canned.answer(200, "[" .. table.concat(list, ",") .. "]")
end

describe("records", function()
  it("continue after the last offset despite gaps, and end before `to`", function()
    local stub = canned.start { "accept", "read", messages(0, 5), "read", messages(6, 7, 8), "close" }
    local client, offsets = kafka.new { url = stub.url, retries = 0 }, {}
    for message in client:records { topic = "t", partition = 0, from = 0, to = 7 } do
      offsets[#offsets + 1] = message.offset
    end
    client:close()
    assert.same({ 0, 5, 6 }, offsets)
    local requests = stub:finish()
    assert.truthy(requests[1]:find('"offset":0', 1, true), requests[1])
    -- No more messages than the loop can hand out.
    assert.truthy(requests[1]:find('"max_messages":7', 1, true), requests[1])
    assert.truthy(requests[2]:find('"offset":6', 1, true), requests[2])
    assert.truthy(requests[2]:find('"max_messages":1', 1, true), requests[2])
  end)

  it("end after `limit` even if the response has more", function()
    local stub = canned.start { "accept", "read", messages(0, 1, 2), "close" }
    local client, count = kafka.new { url = stub.url, retries = 0 }, 0
    for _ in client:records { topic = "t", partition = 0, from = 0, limit = 2 } do count = count + 1 end
    client:close()
    assert.equal(2, count)
    stub:finish()
  end)
end)
