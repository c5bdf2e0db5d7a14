-- How the nginx transport reads responses, from any server and in any pieces. Runs without nginx.

local answer = require "upstash.kafka.nginx.answer"

local LIMIT = 1000

-- Reads a response from these pieces. After them the connection ends, or fails with the code
-- `last`.
local function read(pieces, limit, last)
  local at = 0
  local reader = answer.reader(function()
    at = at + 1
    if pieces[at] then return pieces[at] end
    return nil, last or "connection_lost"
  end)
  local status, headers, body, reusable = answer.read(reader, limit or LIMIT)
  return { status, headers, body, reusable }, reader
end

local function in_pieces(text, size)
  local pieces = {}
  for at = 1, #text, size do pieces[#pieces + 1] = text:sub(at, at + size - 1) end
  return pieces
end

local OK = "HTTP/1.1 200 OK\r\n"
local CHUNKED = OK .. "Transfer-Encoding: chunked\r\n\r\n"

-- { name, answer, status, body, reusable }
local whole = {
  { "of a length", OK .. "Content-Length: 3\r\n\r\nabc", 200, "abc", true },
  { "of a length with many zeros", OK .. "Content-Length: 000000000000003\r\n\r\nabc", 200, "abc", true },
  { "of chunks with many zeros", CHUNKED .. "000000000003\r\nabc\r\n0\r\n\r\n", 200, "abc", true },
  { "without a body", OK .. "Content-Length: 0\r\n\r\n", 200, "", true },
  { "with bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", 200, "abc", true },
  { "without a reason", "HTTP/1.1 503\r\ncontent-length:2\r\n\r\n{}", 503, "{}", true },
  { "in chunks", OK .. "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n02;a=b\r\nde\r\n0\r\n\r\n", 200, "abcde", true },
  { "in chunks with trailers", CHUNKED .. "1\r\na\r\n0\r\nX: y\r\nZ: z\r\n\r\n", 200, "a", true },
  { "up to the end", OK .. "\r\nabc", 200, "abc", false },
  { "of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "a", false },
  { "of HTTP/1.0 kept alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na", 200, "a",
    true },
  { "before the close", OK .. "Connection: close\r\nContent-Length: 1\r\n\r\na", 200, "a", false },
  { "with a length said twice", OK .. "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 200, "a", true },
  { "with a length and chunks", OK .. "Content-Length: 9\r\n" .. CHUNKED:sub(#OK + 1) .. "1\r\na\r\n0\r\n\r\n", 200,
    "a", false },
  { "that is followed by bytes", OK .. "Content-Length: 1\r\n\r\nab", 200, "a", false },
  { "that has none by its status", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true },
  { "that is not modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "", true },
  { "after interim ones", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" .. OK
    .. "Content-Length: 1\r\n\r\na", 200, "a", true },
}

local NOT_HTTP, BAD_HEADER = "the response is not HTTP", "the response has a malformed header"
local BAD_LENGTH, NO_SIZE = "the response has a malformed Content-Length", "a chunk has no size"

-- { name, answer, code, text }
local broken = {
  { "nothing", "", "connection_lost" },
  { "half a head", OK .. "Content-Le", "connection_lost" },
  { "half a body", OK .. "Content-Length: 3\r\n\r\nab", "connection_lost" },
  { "half a chunk", CHUNKED .. "3\r\nab", "connection_lost" },
  { "chunks without an end", CHUNKED .. "1\r\na\r\n", "connection_lost" },
  { "something else", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "bad_response", NOT_HTTP },
  { "HTTP/2", "HTTP/2 200\r\n\r\n", "bad_response", NOT_HTTP },
  { "a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "bad_response", NOT_HTTP },
  { "a header without a colon", OK .. "Content-Length\r\n\r\n", "bad_response", BAD_HEADER },
  { "a folded header", OK .. "X: y\r\n z\r\n\r\n", "bad_response", BAD_HEADER },
  { "a space before the colon", OK .. "Content-Length : 1\r\n\r\na", "bad_response", BAD_HEADER },
  { "another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "bad_response", "the server switched protocols" },
  { "two lengths", OK .. "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "bad_response", BAD_LENGTH },
  { "a negative length", OK .. "Content-Length: -1\r\n\r\n", "bad_response", BAD_LENGTH },
  { "an empty length", OK .. "Content-Length:\r\n\r\n", "bad_response", BAD_LENGTH },
  { "a length in hex", OK .. "Content-Length: 0x10\r\n\r\n", "bad_response", BAD_LENGTH },
  { "a list of nothing as length", OK .. "Content-Length: ,\r\n\r\n", "bad_response", BAD_LENGTH },
  { "another coding", OK .. "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bad_response", "the response has an unknown Transfer-Encoding" },
  { "a chunk of no size", CHUNKED .. "x\r\n", "bad_response", NO_SIZE },
  { "a negative chunk", CHUNKED .. "-1\r\n", "bad_response", NO_SIZE },
  { "a chunk that is longer than it says", CHUNKED .. "1\r\nab\r\n0\r\n\r\n",
    "bad_response", "a chunk is longer than its size" },
  { "a body past the limit", OK .. "Content-Length: 1001\r\n\r\n", "response_too_large" },
  { "a length past all numbers", OK .. "Content-Length: 99999999999999999999\r\n\r\n", "response_too_large" },
  { "a length of sixteen digits", OK .. "Content-Length: 0000000000000003\r\n\r\nabc", "response_too_large" },
  { "a chunk of thirteen digits", CHUNKED .. "0000000000003\r\nabc\r\n0\r\n\r\n", "response_too_large" },
  { "chunks past the limit", CHUNKED .. "3E8\r\n" .. ("x"):rep(1000) .. "\r\n1\r\n",
    "response_too_large" },
  { "a chunk past all numbers", CHUNKED .. "fffffffffffffffff\r\n", "response_too_large" },
  { "a body without an end past the limit", OK .. "\r\n" .. ("x"):rep(1001), "response_too_large" },
}

describe("an answer", function()
  for _, row in ipairs(whole) do
    for _, size in ipairs { 1, 2, 7, 100000 } do
      it(("%s, %d bytes at a time, is read"):format(row[1], size), function()
        local got = read(in_pieces(row[2], size))
        assert.equal(row[3], got[1], got[3])
        assert.equal(row[4], got[3])
        if size >= #row[2] or row[1] ~= "that is followed by bytes" then assert.equal(row[5], got[4]) end
      end)
    end
  end

  for _, row in ipairs(broken) do
    for _, size in ipairs { 1, 100000 } do
      it(("of %s, %d bytes at a time, is %s"):format(row[1], size, row[3]), function()
        local got = read(in_pieces(row[2], size))
        assert.is_nil(got[1])
        assert.same({ row[3], row[4] }, { got[2], got[3] })
      end)
    end
  end

  it("has headers by their names in lower case", function()
    local got = read { OK, "Retry-After:  7 \r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n" }
    assert.equal("7", got[2]["retry-after"])
    assert.equal("1, 2", got[2]["x-a"])
  end)

  it("may have a body at the limit, and not one byte more", function()
    for _, size in ipairs { LIMIT, LIMIT + 1 } do
      local body = ("x"):rep(size)
      for _, text in ipairs {
        OK .. "Content-Length: " .. size .. "\r\n\r\n" .. body,
        OK .. ("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"):format(size, body),
        OK .. "\r\n" .. body,
      } do
        local got = read(in_pieces(text, 64))
        assert.equal(size == LIMIT and 200 or nil, got[1])
        assert.equal(size == LIMIT and body or nil, got[3])
      end
    end
  end)

  local TRUNK = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n"
  local HINTS = "HTTP/1.1 103 Early Hints\n\n"

  -- A header line of so many bytes.
  local function header(bytes)
    return "X: " .. ("x"):rep(bytes - 4) .. "\n"
  end

  it("E8: may have 64 KiB of headers, interim ones and trailers included, and not one byte more", function()
    for extra, code in pairs { [0] = 200, [1] = "bad_response" } do
      local left = 65536 - #TRUNK - 2 + extra -- two empty lines count, too
      for _, pieces in ipairs { { TRUNK, header(left), "\n0\n\n" }, { TRUNK, "\n0\n", header(left), "\n" },
        { HINTS, TRUNK, header(left - #HINTS), "\n0\n\n" } } do
        local got = read(pieces)
        assert.equal(code, got[1] or got[2])
        if extra > 0 then assert.equal("the headers of the response are over 65536 bytes", got[3]) end
      end
    end
  end)

  it("E8: may have 1000 lines of headers, and not one more", function()
    for extra, code in pairs { [0] = 200, [1] = "bad_response" } do
      local got = read { "HTTP/1.1 200 OK\nContent-Length: 0\n", ("X: y\n"):rep(997 + extra), "\n" }
      assert.equal(code, got[1] or got[2])
      if extra > 0 then assert.equal("the response has too many headers", got[3]) end
    end
  end)

  it("E8: is not read to the end if its interim responses have none, or its trailers", function()
    for _, pieces in ipairs { { "HTTP/1.1 100 Continue\r\n\r\n" }, { "X: y\r\n", CHUNKED .. "0\r\n" } } do
      local count = 0
      local reader = answer.reader(function()
        count = count + 1
        return count == 1 and pieces[2] or pieces[1]
      end)
      local status, code = answer.read(reader, LIMIT)
      assert.is_nil(status)
      assert.equal("bad_response", code)
      assert.is_true(count < 4000)
    end
  end)

  it("reports whether any byte of it has arrived", function()
    local _, reader = read { "H" }
    assert.is_true(reader.begun)
    _, reader = read {}
    assert.is_false(reader.begun)
  end)

  it("may have lines of 4 KiB between its chunks, and fails at a longer one", function()
    for extra, code in pairs { [0] = 200, [1] = "bad_response" } do
      local line = "1;" .. ("x"):rep(4096 - 2 + extra)
      for _, pieces in ipairs { { CHUNKED, line .. "\na\r\n0\r\n\r\n" },
        { CHUNKED, line, "\na\r\n0\r\n\r\n" } } do
        local got = read(pieces)
        assert.equal(code, got[1] or got[2])
      end
    end
    for extra, code in pairs { [0] = "timeout", [1] = "bad_response" } do
      assert.equal(code, read({ CHUNKED .. "1;" .. ("x"):rep(4096 - 2 + extra) }, LIMIT, "timeout")[2])
    end
  end)

  it("returns its beginning, up to a KiB, if it is too large, to find its first message", function()
    for size, most in pairs { [1025] = 1024, [1024] = 1024, [500] = 500 } do
      local body = "[" .. ("x"):rep(size)
      for _, text in ipairs { OK .. "Content-Length: " .. #body .. "\r\n\r\n" .. body, OK .. "\r\n" .. body,
        OK .. ("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"):format(#body, body) } do
        for _, piece in ipairs { 1, 300, 100000 } do
          local got = read(in_pieces(text, piece), size)
          assert.same({ "response_too_large", body:sub(1, most) }, { got[2], got[4] })
        end
      end
    end
  end)

  it("is not received if its length is over the limit", function()
    local got = read({ OK .. "Content-Length: 1001\r\n\r\n" }, LIMIT, "timeout")
    assert.equal("response_too_large", got[2])
  end)

  it("ends with the code and text of the source", function()
    local reader = answer.reader(function() return nil, "cancelled", "no more" end)
    local status, code, text = answer.read(reader, LIMIT)
    assert.is_nil(status)
    assert.same({ "cancelled", "no more" }, { code, text })
    assert.is_false(reader.begun)
  end)

  it("that ends with the connection fails if the connection broke", function()
    local at, parts = 0, { OK .. "\r\nabc" }
    local reader = answer.reader(function()
      at = at + 1
      if parts[at] then return parts[at] end
      return nil, "connection_lost", "connection reset by peer"
    end)
    local status, code, text = answer.read(reader, LIMIT)
    assert.is_nil(status)
    assert.same({ "connection_lost", "connection reset by peer" }, { code, text })
  end)

  it("in a hundred thousand chunks of a byte costs little more than its bytes", function()
    local sent = 0
    local reader = answer.reader(function()
      sent = sent + 1
      if sent == 1 then return CHUNKED .. "" end
      if sent <= 101 then return ("1\r\nx\r\n"):rep(1000) end
      return "0\r\n\r\n"
    end)
    collectgarbage()
    local before = collectgarbage "count"
    local status, _, body = answer.read(reader, 100000)
    local after = collectgarbage "count"
    assert.equal(200, status)
    assert.equal(100000, #body)
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 300, after)
  end)

  it("raises errors that are not failures of the answer", function()
    local reader = answer.reader(function() error("a mistake", 0) end)
    assert.has_error(function() answer.read(reader, LIMIT) end, "a mistake")
  end)
end)
