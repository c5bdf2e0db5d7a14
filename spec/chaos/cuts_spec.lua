-- for: spec/support/cutting_proxy.lua, spec/support/delivery_worker.lua. Responses and requests are
-- cut at a random byte, and nothing is lost or stored twice.

local chaos = require "spec.support.chaos"
local cuts = require "spec.support.cuts"

-- Nothing is lost, nothing comes twice.
local function exact(report)
  assert.same({}, report.faults)
end

local CASES = {
  { name = "calls and a loop", produce = "calls", consume = "messages", check = exact },
}

describe("when connections are cut,", function()
  for _, engine in ipairs(chaos.engines) do
    for _, case in ipairs(CASES) do
      it(("%s: each message once, on %s"):format(case.name, engine), function()
        cuts.run(engine, case.name, function(run, url)
          run:work(case.produce, "p1", { url = url })
          run:work(case.consume, "c1", { url = url })
        end, case.check, case.options)
      end)
    end
  end
end)
