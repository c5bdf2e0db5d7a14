--- A raw HTTP/1.1 client for tests.
--
-- It sends any bytes that a test gives it, well-formed or not, and accepts only valid HTTP/1.1: a
-- wrong status line, a malformed header, or a body without a length raises an error that says so. A
-- request without an answer yet is a `pending` table, so that a test can have many at once. Times
-- are in seconds, as in LuaSocket.

local folder = require "spec.support.folder"
local mime = require "mime"
local socket = require "socket"

local http = { now = socket.gettime, sleep = socket.sleep }

local TIMEOUT = 60
local PIECE = 65536

-- Parsing -------------------------------------------------------------------------------------

local function parse_head(head)
  local version, status, reason, rest = head:match "^HTTP/(%d%.%d) (%d%d%d) ?([^\r\n]*)\r\n(.*)$"
  if not version then error("malformed status line: " .. head:sub(1, 80)) end
  if version ~= "1.1" then error("answered in HTTP/" .. version) end
  local response = { status = tonumber(status), reason = reason, headers = {}, list = {} }
  for line in rest:gmatch "(.-)\r\n" do
    local name, value = line:match "^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$"
    if not name then error("malformed response header: " .. line) end
    if value:find "%c" then error("control character in response header: " .. name) end
    local key = name:lower()
    local known = response.headers[key]
    if known and key == "content-length" then error "Content-Length twice in a response" end
    response.headers[key] = known and known .. ", " .. value or value
    table.insert(response.list, { name = name, value = value })
  end
  return response
end

-- The bytes of a chunked body and the position after it, or nil while it is incomplete.
local function parse_chunks(buffer, position)
  local pieces = {}
  while true do
    local _, line_end, digits = buffer:find("^(%x+)[^\r\n]*\r\n", position)
    if not line_end then
      if #buffer - position > 20 then error "malformed chunk in a response" end
      return nil
    end
    local size = tonumber(digits, 16)
    position = line_end + 1
    if size == 0 then
      local trailer_end = select(2, buffer:find("^\r\n", position))
        or select(2, buffer:find("\r\n\r\n", position, true))
      return trailer_end and table.concat(pieces), trailer_end and trailer_end + 1
    end
    if #buffer < position + size + 1 then return nil end
    if buffer:sub(position + size, position + size + 1) ~= "\r\n" then
      error "a chunk of a response is longer than it says"
    end
    table.insert(pieces, buffer:sub(position, position + size - 1))
    position = position + size + 2
  end
end

local function parse_body(response, buffer, position, closed)
  local length, coding = response.headers["content-length"], response.headers["transfer-encoding"]
  if length and coding then error "both Content-Length and Transfer-Encoding in a response" end
  if coding then
    if coding:lower() ~= "chunked" then error("transfer coding of a response: " .. coding) end
    return parse_chunks(buffer, position)
  end
  if not length then -- such a body ends when the connection closes
    response.until_close = true
    return closed and buffer:sub(position) or nil, #buffer + 1
  end
  if not length:find "^%d+$" then error("Content-Length of a response: " .. length) end
  local after = position + tonumber(length)
  if #buffer < after - 1 then return nil end
  return buffer:sub(position, after - 1), after
end

--- Takes one response from the front of `buffer`: the response and the rest, or nil while it is
-- incomplete. Interim (1xx) responses are counted in `response.interim`.
function http.parse(buffer, method, closed, interim)
  local head_end = select(2, buffer:find("\r\n\r\n", 1, true))
  if not head_end then return nil end
  local response = parse_head(buffer:sub(1, head_end - 2))
  if response.status < 200 then
    return http.parse(buffer:sub(head_end + 1), method, closed, (interim or 0) + 1)
  end
  response.interim = interim or 0
  if method == "HEAD" or response.status == 204 or response.status == 304 then
    response.body = ""
    return response, buffer:sub(head_end + 1)
  end
  local body, after = parse_body(response, buffer, head_end + 1, closed)
  if not body then return nil end
  response.body = body
  return response, buffer:sub(after)
end

-- Connections ---------------------------------------------------------------------------------

local Connection = {}
Connection.__index = Connection

function http.connect(host, port)
  local tcp = assert(socket.tcp())
  tcp:settimeout(TIMEOUT)
  assert(tcp:connect(host, port))
  tcp:setoption("tcp-nodelay", true)
  tcp:settimeout(0)
  return setmetatable({ socket = tcp, buffer = "", closed = false }, Connection)
end

--- Sends all bytes and returns true; or false and a reason if the peer closed, or answered before
-- it had read them all. Its answer can still be received.
function Connection:send(bytes)
  local deadline, sent = http.now() + TIMEOUT, 0
  while sent < #bytes do
    local last, problem, partial = self.socket:send(bytes, sent + 1)
    sent = last or partial or sent
    if problem and problem ~= "timeout" then return false, problem end
    if sent < #bytes then
      local readable, writable = socket.select({ self.socket }, { self.socket }, 1)
      if readable[1] and not writable[1] then return false, "answered" end
      if http.now() > deadline then return false, "timeout" end
    end
  end
  return true
end

--- Shuts down the sending side; the answer can still be received.
function Connection:half_close()
  self.socket:shutdown "send"
end

function Connection:close()
  self.socket:close()
  self.closed = true
end

-- Moves what has arrived into the buffer without waiting. False if nothing had arrived.
function Connection:take()
  local data, problem, partial = self.socket:receive(PIECE)
  data = data or partial or ""
  self.buffer = self.buffer .. data
  if problem and problem ~= "timeout" then self.closed = true end
  return #data > 0 or self.closed
end

-- Waits until more has arrived or the peer has closed; raises at the deadline.
function Connection:fill(deadline)
  while not self:take() do
    local left = deadline - http.now()
    if left <= 0 then error("no answer in time, so far: " .. self.buffer:sub(1, 200), 0) end
    socket.select({ self.socket }, nil, left)
  end
end

function Connection:try_response(method)
  local response, rest = http.parse(self.buffer, method, self.closed)
  if response then
    self.buffer = rest
    response.at = http.now()
  elseif self.closed then
    error("the connection closed before a whole answer, so far: " .. self.buffer:sub(1, 200), 0)
  end
  return response
end

--- The next response on this connection, within `timeout` seconds.
function Connection:receive(method, timeout)
  local deadline = http.now() + (timeout or TIMEOUT)
  self:take()
  while true do
    local response = self:try_response(method)
    if response then return response end
    self:fill(deadline)
  end
end

--- Whether the peer closes within `timeout` seconds and sends nothing more.
function Connection:ends(timeout)
  local deadline = http.now() + (timeout or TIMEOUT)
  while not self.closed and http.now() < deadline do
    socket.select({ self.socket }, nil, deadline - http.now())
    self:take()
  end
  return self.closed and self.buffer == ""
end

function Connection:reusable()
  if self.closed then return false end
  local readable = socket.select({ self.socket }, nil, 0)
  return readable[1] == nil and self.buffer == ""
end

-- Clients -------------------------------------------------------------------------------------

local Client = {}
Client.__index = Client

--- A client for the server at `url`, which keeps one connection alive between its requests.
function http.client(url, username, password)
  local host, port, prefix = url:match "^http://([^:/]+):(%d+)(/?.-)/?$"
  if not host then error("not a URL of the form http://HOST:PORT: " .. url, 2) end
  return setmetatable({
    host = host,
    port = tonumber(port),
    prefix = prefix,
    authorization = http.basic(username, password),
  }, Client)
end

function http.basic(username, password)
  return "Basic " .. mime.b64(username .. ":" .. password)
end

function http.base64(bytes)
  return (mime.b64(bytes)) or ""
end

--- The bytes, compressed by gzip.
function http.gzip(bytes)
  local path = folder.name()
  local pipe = assert(io.popen("gzip -c > '" .. path .. "'", "w"))
  pipe:write(bytes)
  pipe:close()
  local file = assert(io.open(path, "rb"))
  local packed = file:read "*a"
  file:close()
  os.remove(path)
  return packed
end

function Client:connect()
  return http.connect(self.host, self.port)
end

local function chunked(pieces)
  local out = {}
  for _, piece in ipairs(pieces) do
    table.insert(out, ("%x\r\n"):format(#piece) .. piece .. "\r\n") -- 5.1 formats no NUL
  end
  return table.concat(out) .. "0\r\n\r\n"
end

--- The bytes of a request. Options: `headers` (a map, or a list of {name, value}), `body` (a
-- string), `chunks` (a list of strings, sent chunked), `auth` (false for none, or the value of the
-- Authorization header).
function Client:build(method, path, options)
  options = options or {}
  local lines = {
    ("%s %s%s HTTP/1.1"):format(method, self.prefix, path),
    ("Host: %s:%d"):format(self.host, self.port),
  }
  if options.auth ~= false then
    table.insert(lines, "Authorization: " .. (options.auth or self.authorization))
  end
  for name, value in pairs(options.headers or {}) do
    if type(value) == "table" then name, value = value[1], value[2] end
    table.insert(lines, name .. ": " .. value)
  end
  local body = options.body or ""
  if options.chunks then
    table.insert(lines, "Transfer-Encoding: chunked")
    body = chunked(options.chunks)
  elseif options.body or method == "POST" then
    table.insert(lines, "Content-Length: " .. #body)
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
end

--- Sends a request on its own connection and returns at once. http.collect fills
-- `pending.response`.
function Client:start(method, path, options)
  local connection = self:connect()
  connection:send(self:build(method, path, options))
  return { connection = connection, method = method, sent_at = http.now() }
end

local function settle(pending)
  if not pending.connection:take() then return false end
  pending.response = pending.connection:try_response(pending.method)
  if not pending.response then return false end
  pending.seconds = pending.response.at - pending.sent_at
  pending.connection:close()
  return true
end

--- Waits for the answers to all (or to `count`) of a list of pending requests. Returns how many
-- were answered; raises an error if there are fewer at the deadline: after `timeout` seconds, by
-- default a minute.
function http.collect(pendings, timeout, count)
  local deadline, answered = http.now() + (timeout or TIMEOUT), 0
  local sockets, by_socket = {}, {}
  for _, pending in ipairs(pendings) do
    if pending.response then
      answered = answered + 1
    else
      by_socket[pending.connection.socket] = pending
      table.insert(sockets, pending.connection.socket)
    end
  end
  count = count or #pendings
  while answered < count do
    local left = deadline - http.now()
    if left <= 0 then error(("%d of %d answered in time"):format(answered, count), 2) end
    for _, ready in ipairs((socket.select(sockets, nil, left))) do
      if settle(by_socket[ready]) then
        answered = answered + 1
        for index, known in ipairs(sockets) do
          if known == ready then table.remove(sockets, index) break end
        end
      end
    end
  end
  return answered
end

local function nothing_follows(connection)
  connection:take()
  if connection.buffer == "" then return end
  error("bytes follow the response: " .. connection.buffer:sub(1, 200), 3)
end

--- Sends bytes on a new connection and returns the answer: for requests that are not valid HTTP.
-- With `half_close` it then shuts down the sending side.
function Client:raw(bytes, half_close, timeout)
  local connection = self:connect()
  connection:send(bytes)
  if half_close then connection:half_close() end
  local response = connection:receive("GET", timeout)
  nothing_follows(connection)
  connection:close()
  return response
end

function Client:take_connection()
  local kept = self.kept
  self.kept = nil
  if kept and kept:reusable() then return kept end
  if kept then kept:close() end
  return self:connect()
end

--- Sends a request and returns its response; `seconds` in it is the time it took.
function Client:request(method, path, options)
  local connection, sent_at = self:take_connection(), http.now()
  local whole = connection:send(self:build(method, path, options))
  local response = connection:receive(method, options and options.timeout)
  response.seconds = response.at - sent_at
  nothing_follows(connection)
  local wish = (response.headers.connection or ""):lower()
  if whole and not response.until_close and not wish:find("close", 1, true) then
    self.kept = connection
  else
    connection:close()
  end
  return response
end

function Client:close()
  if self.kept then self.kept:close() end
  self.kept = nil
end

return http
