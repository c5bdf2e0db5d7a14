--- A TCP server that follows a list of steps, in its own process.
--
--   local server = canned.start { "accept", "read", "send HTTP/1.1 200 OK\r\n...", "close" }
--   ... requests to server.url ...
--   local log = server:finish() -- the requests it read, and "late: STEP" for steps that timed out
--
-- Steps:
--   accept        takes a new connection, which the next steps use
--   read          reads one whole request
--   send BYTES
--   close
--   gone          sends nothing until the client has closed the connection
--   drip          sends a byte at a time until then
--   hold          neither reads nor sends until finish is called
--   mark          lets await return
--   await PATH    waits for that file
--   sleep SECONDS
--   nobody        expects that no connection arrives for a while
--   deaf          stops listening
-- A step that waits gives up after LIMIT seconds, `accept` after PATIENCE, and the process ends, so
-- a client that waits forever meets a closed connection, and the log says which step was late.

local LIMIT = 60
local PATIENCE = 300 -- a test may do much before it connects, on a machine that is busy
local WHILE = 0.3
local DRIP = 0.02 -- seconds between two bytes

local canned = {}

--- An answer with that status, body and header lines.
function canned.answer(status, body, lines)
  local head = { "HTTP/1.1 " .. status .. " Canned", "Content-Length: " .. #body }
  for _, line in ipairs(lines or {}) do head[#head + 1] = line end
  return "send " .. table.concat(head, "\r\n") .. "\r\n\r\n" .. body
end

local Server = {}
Server.__index = Server

--- Ends a hold and waits until the server has ended; returns what it saw.
function Server:finish()
  os.remove(self.script)
  local log = {}
  while true do
    local length = self.pipe:read "*l"
    if not length then break end
    log[#log + 1] = self.pipe:read(tonumber(length))
    self.pipe:read "*l"
  end
  self.pipe:close()
  return log
end

--- Waits until the server has reached its step "mark".
function Server:await()
  local socket = require "socket"
  local deadline = socket.gettime() + LIMIT
  local mark = self.script .. ".mark"
  repeat
    local file = io.open(mark)
    if file then
      file:close()
      os.remove(mark)
      return
    end
    socket.sleep(DRIP)
  until socket.gettime() > deadline
  error("the canned server did not come to its mark", 2)
end

local function interpreter()
  local version = rawget(_G, "jit") and "jit" or _VERSION:match "%d%.%d"
  return os.getenv "TEST_LUA" or "lua" .. version
end

function canned.start(steps)
  local script = os.tmpname()
  local file = assert(io.open(script, "wb"))
  file:write "return {\n"
  for _, step in ipairs(steps) do file:write(string.format("%q,\n", step)) end
  file:write "}\n"
  file:close()
  local this = debug.getinfo(1, "S").source:sub(2)
  local pipe = assert(io.popen("exec " .. interpreter() .. " " .. this .. " " .. script))
  local port = assert(tonumber(pipe:read "*l"), "the canned server did not start")
  return setmetatable({ port = port, pipe = pipe, script = script, url = "http://127.0.0.1:" .. port }, Server)
end

-- The process ---------------------------------------------------------------------------------

local steps = {}

function steps.accept(state)
  local connection, problem = state.listener:accept()
  if not connection then return nil, problem end
  connection:settimeout(LIMIT)
  connection:setoption("tcp-nodelay", true)
  state.connection = connection
  return true
end

-- The first line of a request. Before the first request, a connection that closes without a byte is
-- skipped: another test polls the port until its own server listens there.
local function first_line(state)
  local line, problem, partial = state.connection:receive "*l"
  while problem == "closed" and partial == "" and #state.log == 0 do
    if not steps.accept(state) then break end
    line, problem, partial = state.connection:receive "*l"
  end
  return line, problem
end

function steps.read(state)
  local lines, length = {}, 0
  local line, problem = first_line(state)
  while line do
    lines[#lines + 1] = line
    length = tonumber(line:lower():match "^content%-length: (%d+)") or length
    if line == "" then break end
    line, problem = state.connection:receive "*l"
  end
  if not line then return nil, problem end
  local body = length > 0 and state.connection:receive(length) or ""
  state.log[#state.log + 1] = table.concat(lines, "\n") .. "\n" .. body
  return true
end

function steps.send(state, bytes)
  return state.connection:send(bytes)
end

function steps.sleep(_, seconds)
  require("socket").sleep(tonumber(seconds))
  return true
end

-- Reads until the client has closed; calls `meanwhile` whenever nothing has arrived for a while.
local function until_gone(state, pause, meanwhile)
  local socket = require "socket"
  local deadline = socket.gettime() + LIMIT
  state.connection:settimeout(pause)
  repeat
    local _, problem = state.connection:receive(1)
    if problem == "closed" then return true end
    if problem == "timeout" and meanwhile then meanwhile() end
  until socket.gettime() > deadline
end

function steps.gone(state)
  return until_gone(state, LIMIT)
end

function steps.drip(state)
  return until_gone(state, DRIP, function() state.connection:send "x" end)
end

function steps.hold(state)
  local socket = require "socket"
  local deadline = socket.gettime() + LIMIT
  while socket.gettime() < deadline do
    local file = io.open(state.script)
    if not file then return true end
    file:close()
    socket.sleep(DRIP)
  end
end

function steps.mark(state)
  return assert(io.open(state.script .. ".mark", "w")):close()
end

function steps.await(_, path)
  local socket = require "socket"
  local deadline = socket.gettime() + 30
  repeat
    local file = io.open(path)
    if file then return file:close() end
    socket.sleep(0.01)
  until socket.gettime() > deadline
end

function steps.close(state)
  return state.connection:close()
end

function steps.nobody(state)
  state.listener:settimeout(WHILE)
  local connection = state.listener:accept()
  state.listener:settimeout(PATIENCE)
  return not connection
end

function steps.deaf(state)
  return state.listener:close()
end

local function serve(script)
  local state = { script = script, log = {}, listener = assert(require("socket").bind("127.0.0.1", 0)) }
  state.listener:settimeout(PATIENCE)
  local _, port = state.listener:getsockname()
  io.write(port, "\n")
  io.flush()
  for _, step in ipairs(dofile(script)) do
    local name, argument = step:match "^(%a+) ?(.*)$"
    if not steps[name](state, argument) then
      state.log[#state.log + 1] = "late: " .. name
      break
    end
  end
  for _, entry in ipairs(state.log) do io.write(#entry, "\n", entry, "\n") end
end

-- As a program it gets the script's name; as a required module, the module's.
if arg and arg[0] and arg[0]:find "canned_server%.lua$" then serve(arg[1]) end

return canned
