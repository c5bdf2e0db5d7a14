-- for: spec/support/cutting_proxy.lua, spec/support/delivery_worker.lua. Responses and requests are
-- cut at a random byte, and nothing is lost or stored twice.

local chaos = require "spec.support.chaos"
local cuts = require "spec.support.cuts"

-- Nothing is lost, nothing comes twice.
local function exact(report)
  assert.same({}, report.faults)
end

-- Without the headers, the server goes by what it sees of the connection to the proxy: if that is
-- reset, the messages come again, although the client may have them all; if the proxy has read
-- everything, what it then cuts is lost. An unknown produce may be stored.
local PLAIN = { lost = "was not received", duplicated = "was received again" }

local function plain(report)
  for _, fault in ipairs(report.faults) do
    assert.truthy(PLAIN[fault.kind], fault.kind)
    assert.truthy(fault.text:find(PLAIN[fault.kind], 1, true), fault.text)
  end
end

local CASES = {
  { name = "calls and a loop", produce = "calls", consume = "messages", check = exact },
  { name = "a producer and a loop over batches", produce = "producer", consume = "batches", check = exact },
  { name = "curl with both headers", produce = "curl_keys", consume = "curl_acks", check = exact },
  { name = "curl without headers", produce = "curl_plain", consume = "curl_take", check = plain,
    options = { plain = true, lossy = true } },
}

describe("when connections are cut,", function()
  for _, engine in ipairs(chaos.engines) do
    for _, case in ipairs(CASES) do
      it(("%s: what its contract says, on %s"):format(case.name, engine), function()
        cuts.run(engine, case.name, function(run, url)
          run:work(case.produce, "p1", { url = url })
          run:work(case.consume, "c1", { url = url })
        end, case.check, case.options)
      end)
    end
  end
end)
