--- A proxy that cuts requests and responses at a random byte, and the function that starts it. It
-- is a process of its own, and serves many connections at once.
--
--     local cutting_proxy = require "spec.support.cutting_proxy"
--     local proxy = cutting_proxy.start(url, { "response /consume/ 200 1000" })
--     print(proxy:cuts "response /consume/")
--     proxy:stop()
--
-- A rule is WHAT PREFIX PERMILLE COUNT: of the requests whose path begins with PREFIX, PERMILLE of
-- 1,000 are cut, COUNT of them at most. WHAT is one of
--
--   response   the server executes the request; the client gets the first bytes of the response
--   abandon    the server gets the whole request, and the connection ends without a response
--   request    the server gets the first bytes of the request
--
-- A cut ends both connections, half of them with a reset. The first rule that applies decides.

local cutting_proxy = {}

local Proxy = {}
Proxy.__index = Proxy

--- Starts a proxy in front of the server at `url`. `options`: `seed`, and `port`, to listen on.
function cutting_proxy.start(url, rules, options)
  local shell = require "spec.support.shell"
  options = options or {}
  local words = { "spec/support/cutting_proxy.lua", url, options.port or 0, options.seed or 1,
    (table.unpack or unpack)(rules) }
  local process = shell.start(shell.lua .. " " .. shell.words(words))
  return setmetatable({ process = process, url = process:expect "(http://[%d.:]+)\n" }, Proxy)
end

--- How many cuts there were so far of requests whose rule begins so.
function Proxy:cuts(prefix)
  local count = 0
  for line in self.process:output():gmatch "cut ([^\n]*)\n" do
    if line:sub(1, #prefix) == prefix then count = count + 1 end
  end
  return count
end

function Proxy:stop()
  self.process:remove()
end

-- The process -------------------------------------------------------------------------------------

local PIECE = 65536

local function read_rules(words)
  local rules = {}
  for index = 4, #words do
    local what, prefix, permille, count = words[index]:match "^(%l+) (%S+) (%d+) (%d+)$"
    rules[index - 3] = { what = what, prefix = prefix, permille = tonumber(permille), left = tonumber(count) }
  end
  return rules
end

local function rule_for(rules, path)
  for _, rule in ipairs(rules) do
    if rule.left > 0 and path:sub(1, #rule.prefix) == rule.prefix and math.random(1000) <= rule.permille then
      rule.left = rule.left - 1
      return rule
    end
  end
end

-- Moves what has arrived into the buffer; false when the peer has closed.
local function take(side)
  local data, problem, partial = side.socket:receive(PIECE)
  side.buffer = side.buffer .. (data or partial or "")
  return not problem or problem == "timeout"
end

-- The first message of a buffer, or nil while it is incomplete.
local function first_message(buffer)
  local head_end = select(2, buffer:find("\r\n\r\n", 1, true))
  if not head_end then return nil end
  local length = buffer:sub(1, head_end):lower():match "\r\ncontent%-length:%s*(%d+)"
  local last = head_end + (tonumber(length) or 0)
  if #buffer >= last then return buffer:sub(1, last), buffer:sub(last + 1) end
end

-- The next message from one side. Nil when it has closed, or the other one has while this waits.
local function receive(side, other)
  while true do
    local message, rest = first_message(side.buffer)
    if message then
      side.buffer = rest
      return message
    end
    local ready = coroutine.yield(side, other)
    if ready[side.socket] and not take(side) then return nil end
    if other and ready[other.socket] and not take(other) then return nil end
  end
end

local function send(side, bytes)
  side.socket:settimeout(10)
  side.socket:send(bytes)
  side.socket:settimeout(0)
end

local function cut(rule, path, side, message)
  local bytes = math.random(#message) - 1
  print(("cut %s %s %s: %d of %d bytes"):format(rule.what, rule.prefix, path, bytes, #message))
  send(side, message:sub(1, bytes))
end

-- Serves one request of a connection. False when the connection is to end.
local function serve_one(rules, client, server)
  local request = receive(client)
  if not request then return false end
  local path = request:match "^%S+ (%S+)"
  local rule = rule_for(rules, path)
  if rule and rule.what == "request" then return cut(rule, path, server, request) end
  send(server, request)
  if rule and rule.what == "abandon" then return print(("cut abandon %s %s"):format(rule.prefix, path)) end
  local response = receive(server, client)
  if not response then return false end
  if rule then return cut(rule, path, client, response) end
  send(client, response)
  return not response:lower():find("\r\nconnection: close\r\n", 1, true)
end

local function close(side)
  if math.random(2) == 1 then side.socket:setoption("linger", { on = true, timeout = 0 }) end
  side.socket:close()
end

local function open_side(connected)
  connected:setoption("tcp-nodelay", true)
  connected:settimeout(0)
  return { socket = connected, buffer = "" }
end

-- A connection: a coroutine that yields the sides that it waits for.
local function serve(socket, rules, connected, host, port)
  local client = open_side(connected)
  local to_server = socket.connect(host, port)
  if not to_server then return client.socket:close() end
  local server = open_side(to_server)
  while serve_one(rules, client, server) do end
  close(server)
  close(client)
end

local connections = {} -- coroutines, with the sockets that each waits for

local function resume(connection, ...)
  local fine, side, other = coroutine.resume(connection, ...)
  if not fine then io.stderr:write(tostring(side), "\n") end
  local waits = coroutine.status(connection) ~= "dead"
  connections[connection] = waits and { side.socket, other and other.socket } or nil
end

local function wait(socket, listener)
  local sockets = { listener }
  for _, waited in pairs(connections) do
    for _, each in ipairs(waited) do sockets[#sockets + 1] = each end
  end
  return (socket.select(sockets, nil, 600))
end

local function main(words)
  local socket = require "socket"
  local host, port = words[1]:match "^http://([%d.]+):(%d+)$"
  local listener = assert(socket.bind("127.0.0.1", tonumber(words[2]), 512))
  math.randomseed(tonumber(words[3]))
  local rules = read_rules(words)
  io.stdout:setvbuf "line"
  print("http://127.0.0.1:" .. select(2, listener:getsockname()))
  listener:settimeout(0)
  while true do
    local ready = wait(socket, listener)
    if #ready == 0 then return end -- the process that started it may have died
    local connected = ready[listener] and listener:accept()
    local woken = {}
    for connection, waited in pairs(connections) do
      if ready[waited[1]] or ready[waited[2]] then woken[#woken + 1] = connection end
    end
    for _, connection in ipairs(woken) do resume(connection, ready) end
    if connected then resume(coroutine.create(serve), socket, rules, connected, host, tonumber(port)) end
  end
end

if arg and arg[0] and arg[0]:match "cutting_proxy%.lua$" then main(arg) end

return cutting_proxy
