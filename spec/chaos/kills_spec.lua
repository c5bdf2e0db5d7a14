-- for: spec/support/chaos.lua. The server, or the clients, are killed again and again while others
-- produce and consume.

local chaos = require "spec.support.chaos"

local ROUNDS = { short = 4, full = 200, share = 0.1 }

-- At another moment of the requests in each round.
local function a_moment()
  require("upstash.kafka.core").sleep(math.random(0, 30))
end

-- Nothing is lost, doubled or reordered. A server in front of Kafka that is killed may not have
-- stored the keys of what was in flight: so many messages, at most, may be in the log twice.
local function check_copies(report, in_flight)
  local others = {}
  for _, fault in ipairs(report.faults) do
    if not (fault.kind == "duplicated" and fault.text:find "is in the log 2 times") then others[#others + 1] = fault end
  end
  assert.same({}, others)
  assert.is_true(report.counts.copies <= in_flight, report.counts.copies)
end

for _, engine in ipairs(chaos.engines) do
  describe("kill -9 on " .. engine, function()
    local run

    before_each(function()
      math.randomseed(7)
      run = chaos.start(engine)
    end)

    after_each(function() run:remove() end)

    it("of the server loses, doubles and reorders nothing", function()
      local rounds = 0
      run:work("calls", "p1")
      run:work("calls", "p2")
      run:work("messages", "c1")
      for _ in chaos.rounds(ROUNDS) do
        run:progress("produce", "acknowledged", 8)
        a_moment()
        run:restart_server()
        rounds = rounds + 1
      end
      local report = run:finish()
      chaos.say("%d kills of the server on %s: %s", rounds, engine, chaos.describe(report))
      check_copies(report, engine == "kafka" and rounds * 2 * 5 or 0)
    end)

    it("of the clients: what was finished is not repeated, what was not comes again", function()
      local rounds = 0
      for round in chaos.rounds(ROUNDS) do
        local producer, consumer = run:work("calls", "p" .. round), run:work("batches", "c1")
        run:progress("produce", "acknowledged", 4)
        run:progress("consume", "received", 8)
        a_moment()
        for _, process in ipairs { producer, consumer } do
          process.killed = true
          process:signal "KILL"
          process:wait()
        end
        rounds = rounds + 1
      end
      run:work("batches", "c1")
      local report = run:finish { follow = true }
      chaos.say("%d kills of a producer and a consumer on %s: %s", rounds, engine, chaos.describe(report))
      assert.same({}, report.faults)
    end)
  end)
end
