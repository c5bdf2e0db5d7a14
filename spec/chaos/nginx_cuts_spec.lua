-- for: spec/support/cutting_proxy.lua, spec/support/delivery_worker.lua. The same as cuts_spec.lua
-- for a producer and a consumer in nginx.

local chaos = require "spec.support.chaos"
local cuts = require "spec.support.cuts"
local nginx = require "spec.support.nginx"

if not nginx.runs_here then return pending(nginx.NEEDS) end

describe("when connections of nginx are cut,", function()
  teardown(nginx.stop_all)

  for _, engine in ipairs(chaos.engines) do
    it("calls and a loop: each message once, on " .. engine, function()
      cuts.run(engine, "calls and a loop in nginx", function(run, url)
        local server = nginx.start { main = chaos.NGINX.main, locations = chaos.NGINX.locations,
          environment = run:environment(url) }
        run:work_in_nginx(server, "calls", "p1")
        run:work_in_nginx(server, "messages", "c1")
        return function() server:stop() end
      end, function(report) assert.same({}, report.faults) end)
    end)
  end
end)
