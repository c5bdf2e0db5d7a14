--- Sends requests over nginx's sockets: keep-alive, TLS, unix sockets. Yields; never blocks the
-- worker.
--
-- The only state is nginx's pool of connections and the TLS session of the last handshake, so any
-- number of light threads may use a target at once.

local core = require "upstash.kafka.core"
local address = require "upstash.kafka.nginx.address"
local answer = require "upstash.kafka.nginx.answer"
local tls = require "upstash.kafka.nginx.tls"

local ngx = rawget(_G, "ngx")

local READ_BYTES = 65536   -- the most to receive at once
local SEND_BYTES = 262144  -- the most to send at once
local ATTEMPTS = 5         -- with connections from the pool that turn out to be dead
local SLICE = 500          -- milliseconds between two checks whether the wait must end
local CONNECT_SLICE = 2000 -- the same while connecting, which cannot be interrupted

local transport = {}

--- Where and how a client sends its requests.
---@class upstash.kafka.Target: upstash.kafka.Address
---@field settings table of the client
---@field pool table for connect: names who may share a connection
---@field session any? the TLS session of the last handshake

--- How long an exchange may take.
---@class upstash.kafka.Wait
---@field deadline number milliseconds of core.now
---@field asked integer milliseconds that the server was asked to wait
---@field stopping nil|fun(): boolean whether to give up now

--- Returns the target of a client, or nil and a message.
---@param settings table as client:settings() returns them
---@return upstash.kafka.Target? target
---@return string? message
function transport.target(settings)
  local target, message = address.of(settings)
  if not target then return nil, message end
  target.settings = settings
  -- Other users' connections to the same place may be unverified, or without TLS.
  target.pool = { pool = ("upstash-kafka %s %s %s"):format(target.where, target.tls and "tls" or "plain",
    settings.verify and "verified" or "unverified") }
  return target
end

local function left(wait)
  return math.max(1, math.ceil(wait.deadline - core.now()))
end

-- Connecting --------------------------------------------------------------------------------------

local function connect_time(target, wait)
  local time = math.min(left(wait), target.settings.connect_timeout)
  if not wait.stopping then return time end
  return math.min(time, wait.stopping() and SLICE or CONNECT_SLICE)
end

local function resolve_failure(problem)
  if problem:find("no resolver defined", 1, true) then
    return problem .. ": set nginx's resolver directive, or put the name into /etc/hosts"
  end
  return problem
end

local function connect_failure(target, problem)
  if problem:find("resolve", 1, true) then return "resolve_failed", resolve_failure(problem) end
  return "connect_failed", ("could not connect to %s: %s"):format(target.where, problem)
end

-- Connects to the first address that accepts. Returns whether the connection is from the pool.
local function connect(target, wait)
  local problem
  for _, place in ipairs(target.addresses) do
    local socket = ngx.socket.tcp()
    local time = connect_time(target, wait)
    socket:settimeouts(time, time, time)
    local done
    if target.port then
      done, problem = socket:connect(place, target.port, target.pool)
    else
      done, problem = socket:connect(place, target.pool)
    end
    if done then return socket, socket:getreusedtimes() > 0 end
  end
  return nil, connect_failure(target, problem)
end

local function open(target, wait)
  local socket, reused, text = connect(target, wait)
  if not socket then return nil, reused, text end
  if target.tls and not reused then
    local done, code, message = tls.shake_hands(target, socket)
    if not done then
      socket:close()
      return nil, code, message
    end
  end
  return socket, reused
end

-- Sending -----------------------------------------------------------------------------------------

local USER_AGENT = "upstash-kafka/" .. core._VERSION

local function head_of(target, request)
  local lines = {
    ("%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n"):format(request.method, request.path, target.authority,
      USER_AGENT),
  }
  for name, value in pairs(request.headers) do
    lines[#lines + 1] = name .. ": " .. value .. "\r\n"
  end
  if request.body or request.method == "POST" then
    lines[#lines + 1] = "Content-Length: " .. #(request.body or "") .. "\r\n"
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines)
end

-- Returns true, or nil and what nginx says went wrong.
local function send(socket, target, request, wait)
  local head, body = head_of(target, request), request.body or ""
  local first = #body <= SEND_BYTES and { head, body } or head
  local time = left(wait)
  socket:settimeouts(time, time, time)
  local done, problem = socket:send(first)
  if not done then return nil, problem end
  for at = 1, first == head and #body or 0, SEND_BYTES do
    time = left(wait)
    socket:settimeouts(time, time, time)
    done, problem = socket:send(body:sub(at, at + SEND_BYTES - 1))
    if not done then return nil, problem end
  end
  return true
end

-- Receiving ---------------------------------------------------------------------------------------

-- Returns the next bytes, or nil, a code and a text; without a text the server has closed the
-- connection.
local function receive(socket, wait)
  local slice = wait.stopping and wait.asked + SLICE or math.huge
  while core.now() < wait.deadline do
    local time = math.min(left(wait), slice)
    socket:settimeouts(time, time, time)
    local bytes, problem = socket:receiveany(READ_BYTES)
    if bytes then return bytes end
    if problem ~= "timeout" then return nil, "connection_lost", problem ~= "closed" and problem or nil end
    if wait.stopping and wait.stopping() then return nil, "cancelled", "the loop is ending" end
    slice = SLICE
  end
  return nil, "timeout"
end

-- Makes one attempt. Returns what answer.read returns; after a failure, also whether the connection
-- came from the pool and was dead before any byte of the response arrived.
local function attempt(target, request, wait)
  local socket, reused, text = open(target, wait)
  if not socket then return nil, reused, text end
  local sent, problem = send(socket, target, request, wait)
  if problem == "timeout" then
    socket:close()
    return nil, "timeout"
  end
  -- A server that refuses a body may respond and close before it has read the whole body.
  local reader = answer.reader(function() return receive(socket, wait) end)
  local status, headers, body, reusable = answer.read(reader, target.settings.max_response_bytes)
  if status and reusable and sent then
    socket:setkeepalive()
  else
    socket:close()
  end
  if status then return status, headers, body end
  return nil, headers, body, reusable, reused and headers == "connection_lost" and not reader.begun
end

--- Sends a request and reads the response. `resend` says whether the request may be sent again if a
-- connection from the pool turns out to be dead.
---@param target upstash.kafka.Target
---@param request table from client:prepare
---@param wait upstash.kafka.Wait
---@param resend boolean
---@return integer? status
---@return table<string, string>|string headers or the code of the failure
---@return string? body or the text of the failure, nil for the code's own
---@return string? beginning of a body that is too large
function transport.exchange(target, request, wait, resend)
  local status, headers, body, beginning, dead
  for _ = 1, ATTEMPTS do
    status, headers, body, beginning, dead = attempt(target, request, wait)
    if status or not (dead and resend) then break end
  end
  return status, headers, body, beginning
end

return transport
