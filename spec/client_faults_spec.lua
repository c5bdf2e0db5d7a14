-- for: transport.c, transport_multi.c, sender.c, sender_resolve.c. The sockets of a client fail:
-- nothing that was acknowledged is lost, and nothing fails in silence.

local faults = require "spec.support.faults"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

local COUNT = 300
local RULES = "send:ECONNRESET:50 send:EPIPE:50 send:short:300 recv:ECONNRESET:50 recv:short:300 " ..
  "connect:ECONNREFUSED:100"

local reason = faults.missing()
if reason then return pending(reason) end

describe("a client whose sockets fail", function()
  local server, rules, process

  before_each(function()
    server, rules = support.start(), faults.new()
  end)

  after_each(function()
    process:remove()
    rules:remove()
    server:stop()
  end)

  local function start(...)
    rules:on(RULES)
    process = shell.start(("%s spec/support/faulty_client.lua %s"):format(shell.lua, table.concat({ ... }, " ")),
      { environment = rules:environment(server:environment()) })
  end

  -- The numbers that are stored, in their order, and how many times each.
  local function stored(topic)
    local first, copies, client = {}, {}, server:client()
    for message in client:records { topic = topic, partition = 0, to = "latest" } do
      if not copies[message.value] then first[#first + 1] = tonumber(message.value) end
      copies[message.value] = (copies[message.value] or 0) + 1
    end
    client:close()
    return first, copies
  end

  for _, in_flight in ipairs { 1, 4 } do
    it("A14: delivers every message of a producer, in_flight " .. in_flight, function()
      local topic = server:topic(1)
      start("produce", topic, COUNT, in_flight)
      process:expect "sent\n"
      shell.eventually(20, function() return rules:hits() > 20 end)
      rules:off()
      assert.equal(0, process:wait(), process:errors())
      assert.truthy(process:output():find(
        ("flushed true, delivered %d, failed 0, dropped 0, 0 failures"):format(COUNT), 1, true), process:output())
      local first = stored(topic)
      assert.equal(COUNT, #first)
      if in_flight == 1 then
        for number = 1, COUNT do assert.equal(number, first[number]) end
      end
      assert.equal("", process:errors())
    end)
  end

  it("A14: gives a loop every message, in order", function()
    local topic = server:topic(1, COUNT)
    start("consume", topic, COUNT)
    assert.equal(0, process:wait(), process:errors())
    assert.is_true(rules:hits() > 20)
    local expected = 0
    for offset, value in process:output():gmatch "(%d+) (%d+)\n" do
      assert.equal(tonumber(offset) + 1, tonumber(value))
      assert.is_true(tonumber(offset) <= expected, "a gap before " .. offset)
      expected = math.max(expected, tonumber(offset) + 1)
    end
    assert.equal(COUNT, expected)
    assert.truthy(process:output():find "all\n$")
  end)
end)
