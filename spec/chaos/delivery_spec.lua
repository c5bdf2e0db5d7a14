-- for: spec/support/delivery.lua. Each history has exactly one fault, which the checker names.

local delivery = require "spec.support.delivery"

-- A process's file: lines with blanks for the tabs.
local function process(...)
  return delivery.parse((table.concat({ ... }, "\n") .. "\n"):gsub(" ", "\t"))
end

local function partition(...)
  local values = { count = select("#", ...) }
  for index, value in ipairs { ... } do values[index - 1] = value end
  return values
end

local PRODUCER = process("sent 1 a b", "acknowledged 1 0 0 1 0", "sent 2 c", "acknowledged 2 0 1")
local LOG = { [0] = partition("a", "c"), partition "b" }
local READ = { "received x 0 0 a", "received x 1 0 b", "finished 0 0", "finished 1 0", "received y 0 1 c",
  "finished 0 1" }

local function check(changes)
  local history = { producers = { PRODUCER }, consumers = { process((table.unpack or unpack)(READ)) }, log = LOG }
  for name, value in pairs(changes) do history[name] = value end
  return delivery.check(history)
end

-- The only fault.
local function fault(changes)
  local report = check(changes)
  assert.equal(1, #report.faults)
  local found = report.faults[1]
  assert.equal(1, report.counts[found.kind])
  return found.kind .. ": " .. found.text
end

-- The consumer's lines, with these instead of the first `from` to `to`.
local function reading(from, to, ...)
  local lines = {}
  for index = 1, from - 1 do lines[#lines + 1] = READ[index] end
  for _, line in ipairs { ... } do lines[#lines + 1] = line end
  for index = to + 1, #READ do lines[#lines + 1] = READ[index] end
  return process((table.unpack or unpack)(lines))
end

describe("delivery.check", function()
  it("finds nothing in a history without a fault, and counts", function()
    local report = check {}
    assert.same({}, report.faults)
    assert.same({ lost = 0, duplicated = 0, reordered = 0, phantom = 0, acknowledged = 3, refused = 0, unknown = 0,
      stored = 3, received = 3, copies = 0, again = 0 }, report.counts)
    assert.same({}, check({ consumers = {}, log = {}, producers = {} }).faults)
  end)

  describe("lost", function()
    it("is an acknowledged message that is not in the log", function()
      assert.equal("lost: c was acknowledged, and is not in the log",
        fault { log = { [0] = partition "a", partition "b" }, consumers = { reading(5, 6) } })
    end)

    it("is one that is elsewhere than it was acknowledged", function()
      assert.equal("lost: b was acknowledged at 1 1, where the log has another message",
        fault { producers = { process("sent 1 a b", "acknowledged 1 0 0 1 1", "sent 2 c", "acknowledged 2 0 1") } })
    end)

    it("is one that was acknowledged without a place, or beside others that were not", function()
      local history = { log = { [0] = partition "a", partition "b" }, consumers = { reading(5, 6) } }
      history.producers = { process("sent 1 a b", "acknowledged 1 - - - -", "sent 2 c", "acknowledged 2 - -") }
      assert.equal("lost: c was acknowledged, and is not in the log", fault(history))
      history.producers = { process("sent 1 a b c", "mixed 1 unknown unknown acknowledged") }
      assert.equal("lost: c was acknowledged, and is not in the log", fault(history))
      history.producers = { process("sent 1 a b c", "mixed 1 acknowledged unknown refused") }
      assert.same({}, check(history).faults)
    end)

    it("is a stored message that nobody received, or handled", function()
      assert.equal("lost: c is in the log at 0 1, and was not received", fault { consumers = { reading(5, 6) } })
      assert.equal("lost: c is in the log at 0 1, and was received, but not handled",
        fault { consumers = { reading(6, 6) } })
      assert.equal("lost: a is in the log at 0 0, and was not received", fault { consumers = {
        process("received x 1 0 b", "finished 1 0", "received y 0 1 c", "finished 0 1") } })
    end)

    it("is not a message whose request has no outcome, or was refused", function()
      for _, outcome in ipairs { "unknown 3 timeout", "refused 3 unavailable", "" } do
        assert.same({}, check({ producers = { PRODUCER, process("sent 3 d", outcome) } }).faults)
      end
    end)

    it("is not a message that retention removed", function()
      local producer = process("sent 1 a", "unknown 1 timeout", "sent 2 b c", "acknowledged 2 1 0 0 1")
      assert.same({}, check({ producers = { producer }, log = { [0] = { count = 2, [1] = "c" }, partition "b" },
        consumers = { reading(1, 3, "received x 1 0 b") } }).faults)
    end)
  end)

  describe("duplicated", function()
    local TWICE = { [0] = partition("a", "c", "c"), partition "b" }

    it("is a message that is in the log twice", function()
      assert.equal("duplicated: c is in the log 2 times, last at 0 2",
        fault { log = TWICE, consumers = { reading(7, 6, "received z 0 2 c", "finished 0 2") } })
    end)

    it("is so after an unknown outcome, except for a producer without keys", function()
      local history = { log = TWICE, consumers = { reading(7, 6, "received z 0 2 c", "finished 0 2") }, producers = {
        process("sent 1 a b", "acknowledged 1 0 0 1 0", "sent 2 c", "unknown 2 timeout", "sent 2 c",
          "acknowledged 2 0 2") } }
      assert.equal("duplicated: c is in the log 2 times, last at 0 2", fault(history))
      history.plain = true
      assert.same({}, check(history).faults)
      assert.equal(1, check(history).counts.copies)
      history.producers = { PRODUCER }
      assert.equal("duplicated: c is in the log 2 times, last at 0 2", fault(history))
    end)

    it("is a message that comes again after it was finished", function()
      assert.equal("duplicated: a was received again at 0 0, after it was finished",
        fault { consumers = { reading(7, 6, "received z 0 0 a") } })
    end)

    it("is so for a consumer that follows another", function()
      local consumers = { process((table.unpack or unpack)(READ)), process "received z 0 0 a" }
      assert.equal("duplicated: a was received again at 0 0, after it was finished",
        fault { consumers = consumers, follow = true })
      assert.same({}, check({ consumers = consumers }).faults)
    end)

    it("is not a message that comes again before it is finished", function()
      local report = check { consumers = { reading(3, 2, "received x 0 0 a", "received x 1 0 b") } }
      assert.same({}, report.faults)
      assert.equal(2, report.counts.again)
      assert.same({}, check({ consumers = { reading(6, 6, "handled 0 1", "received z 0 1 c") } }).faults)
    end)
  end)

  describe("reordered", function()
    it("is a message that is in the log behind a later one of its producer and partition", function()
      assert.equal("reordered: a is in the log at 0 1, behind a later message", fault {
        producers = { process("sent 1 a b", "unknown 1 timeout", "sent 2 c", "acknowledged 2 0 0") },
        log = { [0] = partition("c", "a"), partition "b" },
        consumers = { process("received x 0 0 c", "received x 0 1 a", "received x 1 0 b", "finished 0 0",
          "finished 0 1", "finished 1 0") } })
    end)

    it("is not the order of two producers", function()
      assert.same({}, check({ producers = { process("sent 1 c", "acknowledged 1 0 1"),
        process("sent 1 a b", "acknowledged 1 0 0 1 0") } }).faults)
    end)

    it("is a message that is received behind a later one of its partition", function()
      assert.equal("reordered: a was received at 0 0, after 1",
        fault { consumers = { reading(1, 6, "received x 0 1 c", "received x 0 0 a", "received x 1 0 b", "finished 0 0",
          "finished 0 1", "finished 1 0") } })
    end)

    it("is not one that is received again", function()
      assert.same({}, check({ consumers = { reading(2, 6, "received x 0 1 c", "received x 0 0 a", "received x 0 1 c",
        "received x 1 0 b", "finished 0 0", "finished 0 1", "finished 1 0") } }).faults)
    end)
  end)

  describe("phantom", function()
    it("is a message in the log that was never sent", function()
      assert.equal("phantom: d is in the log, and was never sent", fault { log = { [0] = partition("a", "c", "d"),
        partition "b" }, consumers = { reading(7, 6, "received z 0 2 d", "finished 0 2") } })
    end)

    it("is one that was only refused", function()
      local history = { log = { [0] = partition("a", "c", "d"), partition "b" },
        consumers = { reading(7, 6, "received z 0 2 d", "finished 0 2") },
        producers = { PRODUCER, process("sent 1 d", "refused 1 unavailable") } }
      assert.equal("phantom: d is in the log, and was refused", fault(history))
      history.producers[2] = process("sent 1 d", "refused 1 unavailable", "sent 1 d", "unknown 1 timeout")
      assert.same({}, check(history).faults)
    end)

    it("is one that is received otherwise than the log has it", function()
      assert.equal("phantom: x was received at 0 0, where the log has a",
        fault { consumers = { reading(1, 1, "received x 0 0 x") } })
      assert.equal("phantom: d was received at 2 7, where the log has nil",
        fault { consumers = { reading(7, 6, "received x 2 7 d") } })
    end)
  end)

  it("leaves out a line that a kill cut off", function()
    local seen = delivery.parse "sent\t1\ta\nacknowledged\t1\t0\t0\nsent\t2\tb"
    assert.equal(1, #seen.requests)
  end)

  it("lists twenty faults of a kind, and counts all", function()
    local values = {}
    for index = 1, 30 do values[index] = "m" .. index end
    local report = delivery.check { producers = {}, log = { [0] = partition((table.unpack or unpack)(values)) } }
    assert.equal(20, #report.faults)
    assert.equal(30, report.counts.phantom)
  end)
end)
