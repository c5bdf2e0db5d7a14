-- The tests' own HTTP client must notice a server's faults.

local http = require "spec.support.http"

local function lines(...)
  return table.concat({ ... }, "\r\n")
end

local PLAIN = lines("HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Length: 5", "", "[1,2]")
local CHUNKED = lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "3", "[1,", "2;x=y", "2]",
  "0", "", "")
local TRAILER = lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "2", "[]", "0", "X: y", "", "")

describe("the HTTP client of the tests", function()
  for what, text in pairs { ["a length"] = PLAIN, chunks = CHUNKED } do
    it("reads a response with " .. what .. ", and no part of it", function()
      for cut = 0, #text - 1 do assert.is_nil((http.parse(text:sub(1, cut), "GET"))) end
      local response, rest = http.parse(text .. "next", "GET")
      assert.equal(200, response.status)
      assert.equal("[1,2]", response.body)
      assert.equal("next", rest)
    end)
  end

  it("reads a trailer", function()
    local response, rest = http.parse(TRAILER, "GET")
    assert.equal("[]", response.body)
    assert.equal("", rest)
  end)

  it("counts interim responses", function()
    local response = http.parse("HTTP/1.1 100 Continue\r\n\r\n" .. PLAIN, "POST")
    assert.equal(200, response.status)
    assert.equal(1, response.interim)
  end)

  it("expects no body after HEAD and 204", function()
    local head = lines("HTTP/1.1 200 OK", "Content-Length: 5", "", "")
    local response, rest = http.parse(head .. PLAIN, "HEAD")
    assert.equal("", response.body)
    assert.equal(PLAIN, rest)
    assert.equal("", http.parse("HTTP/1.1 204 No Content\r\n\r\n", "GET").body)
  end)

  it("reads a body without a length to the end of the connection", function()
    local text = "HTTP/1.1 200 OK\r\n\r\nall"
    assert.is_nil((http.parse(text, "GET", false)))
    local response = http.parse(text, "GET", true)
    assert.equal("all", response.body)
    assert.is_true(response.until_close)
  end)

  it("joins headers of one name and keeps their list", function()
    local response = http.parse(lines("HTTP/1.1 200 OK", "A: 1", "a: 2", "Content-Length: 0", "", ""), "GET")
    assert.equal("1, 2", response.headers.a)
    assert.same({ name = "A", value = "1" }, response.list[1])
  end)

  for what, text in pairs {
    ["an old version"] = lines("HTTP/1.0 200 OK", "", ""),
    ["no status line"] = lines("<html>", "", ""),
    ["a status of two digits"] = lines("HTTP/1.1 20 OK", "", ""),
    ["a blank in a header's name"] = lines("HTTP/1.1 200 OK", "Content Type: x", "", ""),
    ["a control character in a header"] = lines("HTTP/1.1 200 OK", "X: a\1b", "", ""),
    ["two lengths"] = lines("HTTP/1.1 200 OK", "Content-Length: 0", "Content-Length: 0", "", ""),
    ["a length and chunks"] =
      lines("HTTP/1.1 200 OK", "Content-Length: 0", "Transfer-Encoding: chunked", "", "0", "", ""),
    ["a negative length"] = lines("HTTP/1.1 200 OK", "Content-Length: -1", "", ""),
    ["a chunk longer than it says"] =
      lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "2", "[1]", "0", "", ""),
    ["a chunk without a size"] =
      lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", ("z"):rep(40), "", ""),
  } do
    it("refuses a response with " .. what, function()
      assert.has_error(function() http.parse(text, "GET") end)
    end)
  end

  describe("builds", function()
    local client = http.client("http://127.0.0.1:80/base/", "me", "secret")

    it("a request", function()
      assert.equal(lines("GET /base/topics HTTP/1.1", "Host: 127.0.0.1:80",
        "Authorization: Basic bWU6c2VjcmV0", "", ""), client:build("GET", "/topics"))
    end)

    it("a request with a body", function()
      assert.equal(lines("GET /base/x HTTP/1.1", "Host: 127.0.0.1:80", "Content-Length: 2", "", "{}"),
        client:build("GET", "/x", { body = "{}", auth = false }))
    end)

    it("a chunked request", function()
      assert.equal(lines("POST /base/x HTTP/1.1", "Host: 127.0.0.1:80", "Transfer-Encoding: chunked", "",
        "2", "ab", "a", "0123456789", "0", "", ""),
        client:build("POST", "/x", { chunks = { "ab", "0123456789" }, auth = false }))
    end)

    it("nothing for a URL that it cannot speak to", function()
      assert.has_error(function() http.client("https://127.0.0.1:80", "me", "secret") end)
    end)
  end)
end)
