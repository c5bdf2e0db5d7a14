--- Reads the responses of an HTTP/1.1 server from any source of bytes; knows no socket. A broken or
-- hostile server costs no more memory than the limits below.
--
--     local reader = answer.reader(more) -- more() returns bytes, or nil, code, text
--     local status, headers, body, reusable = answer.read(reader, limit)
--     if not status then local code, text, beginning = headers, body, reusable … end
--
-- The code connection_lost without a text means that the server has closed the connection.

local HEAD_BYTES = 65536 -- of all heads and trailers together, those of interim responses included
local TOO_LONG = "the headers of the response are over 65536 bytes"
local HEAD_LINES = 1000  -- of them: a name that is repeated is copied each time
local LINE_BYTES = 4096  -- of a line between chunks
local PIECES = 512       -- of a body, before they are concatenated
local BEGINNING = 1024   -- bytes kept of a body that is too large, to find its first message

local answer = {}

-- Failures are raised as { code, text }, and answer.read returns them.
local function fail(code, text)
  error({ code = code, text = text }, 0)
end

---@class upstash.kafka.Reader
---@field more fun(): string?, string?, string? returns the next bytes, or nil, a code and a text
---@field bytes string the bytes received last
---@field at integer the first of them that is not read yet
---@field begun boolean whether any byte has been received
local Reader = {}
Reader.__index = Reader

--- Creates a reader of the bytes that `more` returns.
---@param more fun(): string?, string?, string?
---@return upstash.kafka.Reader
function answer.reader(more)
  return setmetatable({ more = more, bytes = "", at = 1, begun = false }, Reader)
end

-- Appends more bytes to those that are not read yet. Raises if there are none.
function Reader:fill()
  local more, code, text = self.more()
  if not more then fail(code, text) end
  self.begun = true
  self.bytes = self.at > #self.bytes and more or self.bytes:sub(self.at) .. more
  self.at = 1
end

-- Reads a line. Returns it without its end, and how many bytes it took. Raises with the text if
-- there are more than `most` before the line feed.
function Reader:line(most, text)
  local from = self.at
  while true do
    local finish = self.bytes:find("\n", from, true)
    if (finish or #self.bytes + 1) - self.at > most then fail("bad_response", text) end
    if finish then
      local line = self.bytes:sub(self.at, finish - 1):gsub("\r$", "")
      local bytes = finish + 1 - self.at
      self.at = finish + 1
      return line, bytes
    end
    local read = #self.bytes - self.at + 1
    self:fill()
    from = read + 1
  end
end

-- A body while it is received: pieces, concatenated now and then, so that a million pieces of one
-- byte cost little more memory than a million bytes.
local Body = {}
Body.__index = Body

local function new_body(limit)
  return setmetatable({ limit = limit, length = 0, pieces = {}, count = 0, blocks = {} }, Body)
end

function Body:add(piece)
  if self.length + #piece > self.limit then
    self:keep(piece:sub(1, self.limit - self.length))
    fail "response_too_large"
  end
  self:keep(piece)
end

function Body:keep(piece)
  if piece == "" then return end
  self.length = self.length + #piece
  self.count = self.count + 1
  self.pieces[self.count] = piece
  if self.count < PIECES then return end
  self.blocks[#self.blocks + 1] = table.concat(self.pieces, "", 1, self.count)
  self.count = 0
end

function Body:beginning()
  -- A block has PIECES bytes or more.
  local first = table.concat(self.blocks, "", 1, math.min(2, #self.blocks))
  if #self.blocks < 2 then first = first .. table.concat(self.pieces, "", 1, self.count) end
  return first:sub(1, BEGINNING)
end

function Body:text()
  return table.concat(self.blocks) .. table.concat(self.pieces, "", 1, self.count)
end

local function chunk_line(reader)
  return (reader:line(LINE_BYTES, "a line of the response is too long"))
end

-- Returns the next bytes, at most `most`. Waits until there are some.
local function take_piece(reader, most)
  if reader.at > #reader.bytes then reader:fill() end
  local piece = reader.bytes:sub(reader.at, reader.at + most - 1)
  reader.at = reader.at + #piece
  return piece
end

-- The body is over the limit: receives its beginning and fails.
local function refuse(reader, body)
  while body.length < math.min(BEGINNING, body.limit) do
    local fine, piece = pcall(take_piece, reader, math.min(BEGINNING, body.limit) - body.length)
    if not fine then break end
    body:keep(piece)
  end
  fail "response_too_large"
end

-- Moves `count` bytes from the reader to the body.
local function take(reader, body, count)
  if body.length + count > body.limit then refuse(reader, body) end
  while count > 0 do
    local piece = take_piece(reader, count)
    count = count - #piece
    body:add(piece)
  end
end

-- Reads a line of a head or a trailer. `head` has what is left of the limits.
local function head_line(reader, head)
  local line, bytes = reader:line(head.bytes - 1, TOO_LONG)
  head.bytes, head.lines = head.bytes - bytes, head.lines - 1
  if head.lines < 0 then fail("bad_response", "the response has too many headers") end
  return line
end

-- `head` has what is left of its limits for the trailers.
local function take_chunks(reader, head, body)
  while true do
    local digits = chunk_line(reader):match "^(%x+)[ \t]*%f[;%z]" or fail("bad_response", "a chunk has no size")
    if #digits > 12 then fail "response_too_large" end
    local size = tonumber(digits, 16)
    if size == 0 then break end
    take(reader, body, size)
    if chunk_line(reader) ~= "" then fail("bad_response", "a chunk is longer than its size") end
  end
  repeat until head_line(reader, head) == ""
end

local function take_all(reader, body)
  while true do
    body:add(reader.bytes:sub(reader.at))
    reader.bytes, reader.at = "", 1
    local more, code, text = reader.more()
    if not more then
      if code == "connection_lost" and not text then return end -- the end of the body
      fail(code, text)
    end
    reader.bytes = more
  end
end

local function add_header(headers, line)
  local name, value = line:match "^([^%s:]+):[ \t]*(.-)[ \t]*$"
  if not name then fail("bad_response", "the response has a malformed header") end
  name = name:lower()
  headers[name] = headers[name] and headers[name] .. ", " .. value or value
end

-- Reads one head into `head`, within its limits.
local function read_head(reader, head)
  local minor, status = head_line(reader, head):match "^HTTP/1%.([01]) (%d%d%d)%f[^%d]"
  if not minor then fail("bad_response", "the response is not HTTP") end
  head.minor, head.status, head.headers = minor, tonumber(status), {}
  local line = head_line(reader, head)
  while line ~= "" do
    add_header(head.headers, line)
    line = head_line(reader, head)
  end
end

-- Reads the head of the response itself, after any interim ones such as 100 Continue.
local function final_head(reader)
  local head = { bytes = HEAD_BYTES, lines = HEAD_LINES }
  repeat
    read_head(reader, head)
    if head.status == 101 then fail("bad_response", "the server switched protocols") end
  until head.status >= 200
  return head
end

-- The length in a Content-Length header, which may be repeated as long as the value is the same.
local function length_of(text)
  local length = text:match "^(%d+)%f[,%z]"
  for other in text:gmatch "[^,]*" do
    if other ~= "" and other:match "^%s*(.-)%s*$" ~= length then length = nil end
  end
  if not length then fail("bad_response", "the response has a malformed Content-Length") end
  if #length > 15 then fail "response_too_large" end
  return tonumber(length)
end

-- Reads the body. Returns whether the connection is at the end of the response now.
local function read_body(reader, head, body)
  local coding, length = head.headers["transfer-encoding"], head.headers["content-length"]
  if head.status == 204 or head.status == 304 then return true end
  if coding then
    if coding:lower() ~= "chunked" then fail("bad_response", "the response has an unknown Transfer-Encoding") end
    take_chunks(reader, head, body)
    return length == nil -- with both headers, a proxy in between may see another end
  end
  if length then
    take(reader, body, length_of(length))
    return true
  end
  take_all(reader, body)
  return false
end

local function stays_open(head)
  local connection = (head.headers.connection or ""):lower()
  if head.minor == "0" then return connection:find("keep-alive", 1, true) ~= nil end
  return connection:find("close", 1, true) == nil
end

local function read(reader, body)
  local head = final_head(reader)
  local ended = read_body(reader, head, body)
  local reusable = ended and stays_open(head) and reader.at > #reader.bytes
  return { head.status, head.headers, body:text(), reusable }
end

--- Reads one response, whose body may have `limit` bytes.
---@param reader upstash.kafka.Reader
---@param limit integer
---@return integer? status nil if the response is not complete
---@return table<string, string>|string headers names in lower case; or the code of the failure
---@return string? body or the text of the failure, nil for the code's own
---@return boolean|string|nil reusable whether the connection is reusable; or the beginning of a body that is too large
function answer.read(reader, limit)
  local body = new_body(limit)
  local fine, result = pcall(read, reader, body)
  if fine then return result[1], result[2], result[3], result[4] end
  if type(result) ~= "table" or not result.code then error(result, 0) end
  local beginning = result.code == "response_too_large" and body:beginning() or nil
  return nil, result.code, result.text, beginning
end

return answer
