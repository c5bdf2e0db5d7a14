-- Calls inside a real nginx, over its sockets.

local remote = require "spec.support.nginx_remote"
local support = require "spec.support.nginx"

if not support.runs_here then return end

describe("in nginx", function()
  local nginx

  setup(function() nginx = support.start { locations = remote.LOCATION } end)
  teardown(function() nginx:stop() end)

  require "spec.support.network_cases" (describe, it, function(options) return remote.new(nginx, options) end, {})
end)
