--- A port of 127.0.0.1 where nobody listens now.
--
--     local port = require("spec.support.free_port")()
--
-- It is below those that the system hands out, so that nobody gets it who binds port 0 or connects: a test may find it
-- closed for as long as it likes, and clients that try it over and over reach no server of another test.

local socket = require "socket"

local LOWEST, COUNT = 12000, 20000

-- Random, since several processes of a run look for one at once.
local function candidate()
  local file = assert(io.open("/dev/urandom", "rb"))
  local high, low = file:read(2):byte(1, 2)
  file:close()
  return LOWEST + (high * 256 + low) % COUNT
end

return function()
  for _ = 1, 100 do
    local port = candidate()
    local listener = socket.bind("127.0.0.1", port)
    if listener then
      listener:close()
      return port
    end
  end
  error("no free port", 2)
end
