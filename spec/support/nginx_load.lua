--- Sends requests to nginx, one after another, each on its own connection, until a file appears.
-- Runs as a separate process:
--
--     luajit spec/support/nginx_load.lua PORT PATH STOP_FILE [PAUSE]
--
-- Prints "DONE FAILED" at the end: how many requests got a 200, and how many did not. PAUSE is the
-- pause after each, in seconds.

local socket = require "socket"

local port, path, stop, pause = tonumber(arg[1]), arg[2], arg[3], tonumber(arg[4] or 0)
local request = ("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):format(path)

local function ask()
  local connection = socket.tcp()
  connection:settimeout(60)
  if not connection:connect("127.0.0.1", port) then return false end
  local sent = connection:send(request)
  local answer = sent and connection:receive "*a"
  connection:close()
  return answer ~= nil and answer:find("^HTTP/1.1 200 ") ~= nil
end

local function stopped()
  local file = io.open(stop)
  if file then file:close() end
  return file ~= nil
end

local done, failed = 0, 0
repeat
  for _ = 1, 10 do
    if ask() then done = done + 1 else failed = failed + 1 end
    if pause > 0 then socket.sleep(pause) end
  end
until stopped()
print(done, failed)
