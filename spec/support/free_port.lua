--- A port of 127.0.0.1 that is not in use now.
--
--     local port = require("spec.support.free_port")()
--
-- It is below the ports that the system assigns for port 0 and for connections. So it stays closed
-- as long as the test wants, and a client that retries it never reaches another test's server.

local socket = require "socket"

local LOWEST, COUNT = 12000, 20000

-- Random, because several processes of a run search concurrently.
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
