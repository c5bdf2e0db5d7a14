--- A name server for nginx's resolver that knows one name, in its own process.
--
--     local dns = require("spec.support.name_server").start("kafka.test", "127.0.0.1")
--     … resolver 127.0.0.1:PORT …, where PORT is dns.port
--     dns:stop()

local name_server = {}

function name_server.start(name, address)
  local shell = require "spec.support.shell"
  local process = shell.start(("%s spec/support/name_server.lua %s %s"):format(shell.lua, name, address or ""))
  return {
    port = process:expect "port (%d+)\n",
    stop = function() process:remove() end,
  }
end

-- The name in a question, and where the question ends.
local function read_question(query)
  local labels, at = {}, 13
  while query:byte(at) and query:byte(at) > 0 do
    local length = query:byte(at)
    labels[#labels + 1] = query:sub(at + 1, at + length)
    at = at + length + 1
  end
  return table.concat(labels, "."), at + 4
end

local TYPE_A = "\0\1"

-- An answer with that address, or one that says that the name does not exist; only type A has
-- records.
local function answer(query, name, address)
  local asked, finish = read_question(query)
  local known, wants_address = asked == name, query:sub(finish - 3, finish - 2) == TYPE_A
  local records = known and wants_address and 1 or 0
  local head = query:sub(1, 2) .. (known and "\129\128" or "\129\131") .. "\0\1\0" .. string.char(records) .. "\0\0\0\0"
  local record = ""
  if records == 1 then
    local bytes = {}
    for byte in address:gmatch "%d+" do bytes[#bytes + 1] = string.char(tonumber(byte)) end
    record = "\192\12\0\1\0\1\0\0\0\60\0\4" .. table.concat(bytes)
  end
  return head .. query:sub(13, finish) .. record
end

local function serve(name, address)
  local socket = require "socket"
  local udp = assert(socket.udp())
  assert(udp:setsockname("127.0.0.1", 0))
  udp:settimeout(60) -- the process that started it may have died
  local _, port = udp:getsockname()
  io.write("port ", port, "\n")
  io.flush()
  while true do
    local query, ip, from = udp:receivefrom()
    if not query then return end
    if address then udp:sendto(answer(query, name, address), ip, from) end
  end
end

-- As a program it gets the script's name; as a required module, the module's.
if arg and arg[0] and arg[0]:find "name_server%.lua$" then serve(arg[1], arg[2]) end

return name_server
