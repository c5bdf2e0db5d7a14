--- A client's behaviour on the wire and after failures of network or server, as cases for any
-- transport:
--
--     require("spec.support.network_cases")(describe, it, new, features) -- new(options): a client
--
-- Features of the transport: `gzip`, whether it decompresses; `reconnects`, whether it opens a new
-- connection before it finds out that it must not send the request again.

local canned = require "spec.support.canned_server"
local core = require "upstash.kafka.core"
local socket = require "socket"

local assert = require "luassert"
local unpack = table.unpack or unpack -- luacheck: ignore

local METADATA = '[{"topic":"t","partition":0,"offset":7,"timestamp":1}]'

local function header(request, name)
  return ("\n" .. request):lower():match("\n" .. name:lower():gsub("%-", "%%-") .. ": ([^\n]*)")
end

-- A port that is not in use.
local function closed_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return port
end

local function cases(describe, it, new, features)
  local function client_of(server, options)
    local all = { url = server.url, username = "user", password = "secret", retries = 0, timeout = 30000 }
    for name, value in pairs(options or {}) do all[name] = value end
    return new(all)
  end

  describe("a request on the wire", function()
    it("is as prepared, with credentials and without 100-continue", function()
      local server = canned.start { "accept", "read", canned.answer(200, METADATA), "close" }
      local client = client_of(server)
      local prepared = client:prepare("produce", "t", ("x"):rep(2000000), { key = "k" })
      local metadata = client:produce("t", ("x"):rep(2000000), { key = "k" })
      client:close()
      local request = server:finish()[1]
      assert.same({ topic = "t", partition = 0, offset = 7, timestamp = 1 }, metadata)
      assert.equal("POST /produce/t HTTP/1.1", request:match "^[^\n]*")
      assert.equal(prepared.body, request:match "\n\n(.*)$")
      assert.equal("basic dxnlcjpzzwnyzxq=", header(request, "Authorization"))
      assert.equal("application/json", header(request, "Content-Type"))
      assert.equal("upstash-kafka/" .. core._VERSION, header(request, "User-Agent"))
      assert.is_nil(header(request, "Expect"))
      assert.is_nil(header(request, "Accept-Encoding"))
    end)

    it("uses one connection for all methods, and changes only what differs", function()
      local steps = { "accept" }
      for _, body in ipairs { METADATA, METADATA, '{"t":1}', '{"result":"Success","status":200}',
        '{"status":"ok","engine":"log"}', '{"result":"Success","status":200}', METADATA } do
        steps[#steps + 1] = "read"
        steps[#steps + 1] = canned.answer(200, body)
      end
      local server = canned.start(steps)
      local client = client_of(server)
      assert.equal(7, client:produce("t", "a").offset)
      assert.equal(7, client:produce("t", "b").offset)
      assert.same({ t = 1 }, client:topics())
      assert.is_true(client:delete_topic "t")
      assert.equal("ok", client:health().status)
      assert.is_true(client:commit("g", "i"))
      assert.equal(7, client:produce("t", "c").offset)
      client:close()
      local log = server:finish()
      local lines = {}
      for i, request in ipairs(log) do lines[i] = request:match "^[^\n]*" .. " " .. request:match "\n\n(.*)$" end
      assert.same({
        'POST /produce/t HTTP/1.1 {"value":"a"}',
        'POST /produce/t HTTP/1.1 {"value":"b"}',
        "GET /topics HTTP/1.1 ",
        "DELETE /topics/t HTTP/1.1 ",
        "GET /health HTTP/1.1 ",
        "POST /commit/g/i HTTP/1.1 ",
        'POST /produce/t HTTP/1.1 {"value":"c"}',
      }, lines)
      assert.is_nil(header(log[3], "Content-Type"))
      assert.truthy(header(log[5], "Authorization"), "only with credentials health says why")
      assert.equal("0", header(log[6], "Content-Length"))
      assert.is_nil(header(log[6], "Content-Type"))
      assert.truthy(header(log[7], "Authorization"))
    end)

    it("keeps dots, slashes and spaces of names in their segments", function()
      local server = canned.start { "accept", "read", canned.answer(200, "[]") }
      local client = client_of(server)
      assert.same({}, client:consume("..", "a/b c", "t"))
      assert.equal("POST /consume/%2E%2E/a%2Fb%20c HTTP/1.1", server:finish()[1]:match "^[^\n]*")
    end)

    it("asks for gzip if `compress` is set and it can decompress", function()
      local server = canned.start { "accept", "read", canned.answer(200, '{"t":1}') }
      assert.same({ t = 1 }, client_of(server, { compress = true }):topics())
      assert.equal(features.gzip and "gzip" or nil, header(server:finish()[1], "Accept-Encoding"))
    end)
  end)

  describe("an answer", function()
    local function answers(answer, ...)
      local server = canned.start { "accept", "read", "send " .. answer, ... }
      local client = client_of(server)
      local topics, message = client:topics()
      client:close()
      server:finish()
      assert.same({ t = 1 }, topics, message)
    end

    it("may come in chunks", function()
      answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "3\r\n{\"t\r\n4;x=y\r\n\":1}\r\n0\r\nX: y\r\n\r\n")
    end)

    it("may come byte by byte", function()
      local steps = {}
      for byte in ("ntent-Length: 7\r\n\r\n{\"t\":1}"):gmatch "." do
        steps[#steps + 1] = "send " .. byte
        steps[#steps + 1] = "sleep 0.001"
      end
      answers("HTTP/1.1 200 OK\r\nCo", (table.unpack or unpack)(steps))
    end)

    it("may end with the connection", function()
      answers('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"t":1}', "close")
      answers('HTTP/1.0 200 OK\r\n\r\n{"t":1}', "close")
    end)

    it("may follow interim responses", function()
      answers('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n'
        .. 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"t":1}')
    end)
  end)

  describe("a failure", function()
    local function fails(steps, options, call)
      local server = canned.start(steps)
      local client = client_of(server, options)
      local result, message, details = (call or function() return client:produce("t", "v") end)(client)
      client:close()
      local log = server:finish()
      assert.is_nil(result)
      assert.equal(message, details.error)
      assert.is_nil(message:find("secret", 1, true))
      return details, log
    end

    it("of the connection is connect_failed", function()
      local client = new { url = "http://127.0.0.1:" .. closed_port(), retries = 0 }
      local result, message, details = client:topics()
      assert.is_nil(result)
      assert.truthy(message:find "127%.0%.0%.1")
      assert.same({ error = message, code = "connect_failed", retriable = true }, details)
    end)

    it("for a malformed URL says so", function()
      local result, message, details = new({ url = "http://[::1", retries = 0 }):topics()
      assert.is_nil(result)
      assert.truthy(message:find "URL")
      assert.same({ error = message, code = "transport_failed", retriable = false }, details)
    end)

    it("of the host name is resolve_failed", function()
      local client = new { url = "http://host.invalid", retries = 0, timeout = 2000 }
      local _, _, details = client:topics()
      assert.truthy(({ resolve_failed = true, connect_failed = true })[details.code], details.code)
    end)

    it("of TLS is tls_failed, and is not retried", function()
      local server = canned.start { "accept", "send HTTP/1.1 400 Bad Request\r\n\r\n", "close", "nobody" }
      local client = new { url = "https://127.0.0.1:" .. server.port, retries = 2, retry_delay = 1 }
      local _, _, details = client:topics()
      assert.equal("tls_failed", details.code)
      assert.same({}, server:finish())
    end)

    it("of a server that hangs is a timeout, in time", function()
      local details, log = fails({ "accept", "read", "gone" }, { timeout = 200 })
      assert.equal("timeout", details.code)
      assert.is_true(details.retriable)
      assert.is_nil(details.status)
      assert.equal(1, #log) -- the client closed the connection
    end)

    it("waits as long as the server was asked to, and then the client's own timeout", function()
      local server = canned.start { "accept", "read", "sleep 0.4", canned.answer(200, "[]") }
      local client = client_of(server, { timeout = 200 })
      assert.same({}, client:consume("g", "i", "t", { timeout = 20000 }))
      server:finish()
    end)

    it("of a cut body is connection_lost", function()
      local details = fails { "accept", "read", "send HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[", "close" }
      assert.equal("connection_lost", details.code)
    end)

    it("of no answer at all is connection_lost", function()
      assert.equal("connection_lost", fails({ "accept", "read", "close" }).code)
    end)

    -- One connection for every prefix of the answer, and one for all of it. What follows the first
    -- `needed` bytes (default: all) may be cut without harm.
    local function cut_everywhere(answer, options, needed)
      local steps = {}
      for length = 0, #answer do
        for _, step in ipairs { "accept", "read", "send " .. answer:sub(1, length), "close" } do
          steps[#steps + 1] = step
        end
      end
      local server = canned.start(steps)
      local client = client_of(server, options)
      for length = 0, #answer - 1 do
        local result, _, details = client:produce("t", "v")
        if result then
          assert.is_true(length >= (needed or #answer), "whole after " .. length)
          assert.equal(7, result.offset)
        else
          assert.same({ length, "connection_lost", true }, { length, details.code, details.retriable })
          assert.is_nil(details.status)
        end
      end
      assert.equal(7, client:produce("t", "v").offset)
      client:close()
      assert.equal(#answer + 1, #server:finish())
    end

    it("A9: of a response cut at any byte is connection_lost", function()
      cut_everywhere("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " .. #METADATA
        .. "\r\nConnection: keep-alive\r\n\r\n" .. METADATA)
    end)

    it("A9: of chunks cut at any byte is connection_lost", function()
      local answer = ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x;x=y\r\n%s\r\n1\r\n]\r\n0\r\n"):format(
        #METADATA - 1, METADATA:sub(1, -2))
      cut_everywhere(answer .. "X: y\r\n\r\n", nil, #answer)
    end)

    it("A9: of a response after an interim one, cut at any byte, is connection_lost", function()
      cut_everywhere("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
        .. "HTTP/1.1 200 OK\r\nContent-Length: " .. #METADATA .. "\r\n\r\n" .. METADATA)
    end)

    it("A9: of a response without a length, cut at any byte, is connection_lost", function()
      cut_everywhere("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" .. METADATA)
    end)

    if features.gzip then
      local function zipped(text)
        local name = os.tmpname()
        local file = assert(io.open(name, "wb"))
        file:write(text)
        file:close()
        local pipe = assert(io.popen("gzip -nc " .. name))
        local bytes = pipe:read "*a"
        pipe:close()
        os.remove(name)
        return bytes
      end

      it("A9: of a compressed response cut at any byte is connection_lost", function()
        local bytes = zipped(METADATA)
        cut_everywhere("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " .. #bytes .. "\r\n\r\n"
          .. bytes, { compress = true })
      end)

      it("A9: of a compressed response without a length, cut inside its JSON, is connection_lost", function()
        local head, bytes = "HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n", zipped(METADATA)
        for _, length in ipairs { 0, 1, 9, 10, 11, 20, 40 } do
          local details = fails({ "accept", "read", "send " .. head .. bytes:sub(1, length), "close" },
            { compress = true })
          assert.same({ length, "connection_lost" }, { length, details.code })
        end
      end)
    end

    it("A9: of a complete response that is not JSON stays bad_response", function()
      for _, head in ipairs { "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" } do
        assert.equal("bad_response", fails({ "accept", "read", "send " .. head .. "<html>", "close" }).code)
      end
      assert.equal("bad_response",
        fails({ "accept", "read", "send HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n[", "close" }).code)
    end)

    it("of a server that speaks something else is bad_response", function()
      assert.equal("bad_response", fails({ "accept", "read", "send SSH-2.0-OpenSSH_9.2\r\n\r\n", "close" }).code)
    end)

    it("carries the server's text and status", function()
      local details = fails { "accept", "read", canned.answer(401, '{"error":"who are you?","status":401}') }
      assert.same({ error = "who are you?", code = "unauthorized", status = 401, retriable = false }, details)
    end)

    it("carries Retry-After", function()
      local details = fails { "accept", "read", canned.answer(429, '{"error":"slow down","status":429}',
        { "Retry-After: 7" }) }
      assert.same({ error = "slow down", code = "too_many", status = 429, retriable = true, retry_after = 7 },
        details)
    end)

    it("E8: of 64 KiB of headers is none; of one byte more it is bad_response, which is not retried", function()
      local first = "HTTP/1.1 200 OK\r\nContent-Length: " .. #METADATA .. "\r\n"
      local line = "X: " .. ("x"):rep(3995) .. "\r\n"
      local function lines(bytes)
        local whole = math.floor(bytes / #line) - 1
        return line:rep(whole) .. "Y: " .. ("y"):rep(bytes - whole * #line - 5) .. "\r\n"
      end
      local left = 65536 - #first - 2
      local whole = "send " .. first .. lines(left) .. "\r\n" .. METADATA
      local server = canned.start { "accept", "read", whole, "read", whole }
      local own = client_of(server)
      for _ = 1, 2 do assert.equal(7, assert(own:produce("t", "v")).offset) end
      own:close()
      server:finish()
      local details, log = fails({ "accept", "read", "send " .. first .. lines(left + 1) .. "\r\n" .. METADATA, "gone",
        "nobody" }, { retries = 3, retry_delay = 1 }, function(client) return client:topics() end)
      assert.same({ error = "the headers of the response are over 65536 bytes", code = "bad_response",
        retriable = false }, details)
      assert.equal(1, #log)
    end)

    it("E8: of trailers and interim responses that have no end is bad_response", function()
      local line = "X: " .. ("x"):rep(995) .. "\r\n"
      for _, bytes in ipairs { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" .. line:rep(70),
        ("HTTP/1.1 103 Early Hints\r\n" .. line .. "\r\n"):rep(70) } do
        local details, log = fails { "accept", "read", "send " .. bytes, "gone" }
        assert.same({ "bad_response", "the headers of the response are over 65536 bytes" },
          { details.code, details.error })
        assert.equal(1, #log)
      end
    end)

    it("E8: of a header line that is too long for libcurl says so", function()
      local details = fails { "accept", "read", "send HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(120000), "gone" }
      local texts = { bad_response = "the headers of the response are over 65536 bytes",
        no_memory = "out of memory, or a line of the response's headers is over 100 KB" }
      assert.equal(texts[details.code], details.error)
    end)

    it("E8: of more results than messages is found at the first of them", function()
      local function produce(client) return client:produce_many("t", { { value = "a" }, { value = "b" } }) end
      local item = METADATA:sub(2, -2)
      for status, body in pairs {
        [200] = "[" .. (item .. ","):rep(3) .. "!",
        [503] = '{"error":"some","status":503,"results":[' .. (item .. ","):rep(3) .. "!",
      } do
        local details = fails({ "accept", "read", canned.answer(status, body) }, nil, produce)
        assert.same({ "bad_response", "the response: metadata of 2 messages expected, got 3" },
          { details.code, details.error })
      end
      local details = fails { "accept", "read", canned.answer(200, "[" .. (item .. ","):rep(2) .. "!") }
      assert.equal("the response: one metadata expected, got more", details.error)
    end)

    it("E8: has no control characters in its text", function()
      local text, clean = '"\\u001b]0;x\\u0007\\r\\nb\\u0000\\u009b31m\\u007f é"', "?]0;x???b???31m? é"
      local details = fails { "accept", "read", canned.answer(400, '{"error":' .. text .. ',"status":400}') }
      assert.equal(clean, details.error)
      details = fails({ "accept", "read", canned.answer(503, '{"error":' .. text .. ',"status":503,"results":['
        .. METADATA:sub(2, -2) .. ',{"error":' .. text .. ',"status":400}]}') }, nil,
        function(client) return client:produce_many("t", { { value = "a" }, { value = "b" } }) end)
      assert.same({ clean, clean }, { details.error, details.results[2].error })
      local body = '[{"topic":' .. text .. ',"partition":3,"offset":17,"timestamp":1,"key":"' .. ("x"):rep(2000)
      details = fails({ "accept", "read", canned.answer(200, body), "close" }, { max_response_bytes = 1000 },
        function(client) return client:fetch("t", 3, 17) end)
      assert.equal('the response is over max_response_bytes (at topic "' .. clean .. '", partition 3, offset 17)',
        details.error)
    end)

    it("B11: carries a Retry-After date in each of the three formats", function()
      local function delay_of(value)
        return fails({ "accept", "read", canned.answer(429, "{}", { "Retry-After: " .. value }) }).retry_after
      end
      -- A day at most; all of these dates are far in the future.
      for _, date in ipairs { "Fri, 31 Dec 9999 23:59:59 GMT", "Fri Dec 31 23:59:59 9999",
        os.date("!%A, %d-%b-%y %H:%M:%S GMT", os.time() + 30 * 86400) } do
        assert.equal(86400, delay_of(date))
      end
      local near = delay_of(os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 3600))
      assert.is_true(near > 1800 and near <= 3600, near)
      assert.equal(0, delay_of "Sun, 06 Nov 1994 08:49:37 GMT")
      assert.is_nil(delay_of "Sun, 06 Nov 1994 08:49:37")
      assert.is_nil(delay_of "soon")
    end)

    it("after a retry is that of the last attempt, with nothing of those before", function()
      local busy = canned.answer(503, '{"error":"later","status":503}', { "Retry-After: 0", "Connection: close" })
      local options = { retries = 1, retry_delay = 1 }
      local details = fails({ "accept", "read", busy, "close", "accept", "read", "close" }, options,
        function(client) return client:topics() end)
      assert.same({ error = details.error, code = "connection_lost", retriable = true }, details)
      assert.is_nil(details.error:find "later")
      details = fails({ "accept", "read", "close", "accept", "read",
        canned.answer(404, '{"error":"gone","status":404}') }, options, function(client) return client:topics() end)
      assert.same({ error = "gone", code = "not_found", status = 404, retriable = false }, details)
    end)

    it("with a body that is not JSON has the error's own text", function()
      local details = fails { "accept", "read", canned.answer(502, "<html>Bad Gateway</html>") }
      assert.equal("unavailable", details.code)
      assert.equal(502, details.status)
      assert.equal("the server cannot serve this now", details.error)
    end)

    it("of a response over max_response_bytes is response_too_large; at the limit there is none", function()
      local options = { max_response_bytes = #METADATA }
      local server = canned.start { "accept", "read", canned.answer(200, METADATA) }
      assert.equal(7, client_of(server, options):produce("t", "v").offset)
      server:finish()
      local details = fails({ "accept", "read", canned.answer(200, METADATA .. " "), "close" }, options)
      assert.equal("response_too_large", details.code)
      assert.is_false(details.retriable)
    end)

    it("A3: of a response that is too large says where it starts, and how to get it again", function()
      local body = '[{"topic":"t.x","partition":3,"offset":17,"timestamp":1,"key":"","value":"' .. ("x"):rep(5000)
        .. '","headers":[]}]'
      local function consume(client) return client:consume("g", "i", "t.x") end
      local function fetch(client) return client:fetch("t.x", 3, 17) end
      for _, head in ipairs { "Content-Length: " .. #body .. "\r\n\r\n", "Connection: close\r\n\r\n",
        ("Transfer-Encoding: chunked\r\n\r\n%x\r\n"):format(#body) } do
        for _, call in ipairs { consume, fetch } do
          local details = fails({ "accept", "read", "send HTTP/1.1 200 OK\r\n" .. head .. body, "close" },
            { max_response_bytes = 1000 }, call)
          assert.equal("response_too_large", details.code)
          assert.same({ topic = "t.x", partition = 3, offset = 17 }, details.position)
          assert.equal('the response is over max_response_bytes (at topic "t.x", partition 3, offset 17)',
            details.error)
          assert.equal(call == consume, details.again ~= nil)
        end
      end
      local details = fails({ "accept", "read", canned.answer(200, body), "close" }, { max_response_bytes = 10 },
        consume)
      assert.same({ "response_too_large" }, { details.code, details.position })
    end)

    it("A3: of a consume that may have been executed says how to get its messages again", function()
      local function consume(client) return client:consume("g", "i", "t") end
      for _, steps in ipairs { { "accept", "read", "close" }, { "accept", "read", canned.answer(502, "{}") },
        { "accept", "read", canned.answer(200, "<html>") }, { "accept", "read", canned.answer(504, "{}") } } do
        assert.is_string(fails(steps, nil, consume).again)
        assert.is_nil(fails(steps).again)
      end
      for _, status in ipairs { 400, 404, 429, 503 } do
        assert.is_nil(fails({ "accept", "read", canned.answer(status, "{}") }, nil, consume).again)
      end
    end)

    if features.gzip then
      it("counts the decompressed bytes of a response", function()
        local pipe = assert(io.popen "head -c 4000 /dev/zero | tr '\\0' ' ' | gzip -n")
        local zipped = pipe:read "*a"
        pipe:close()
        assert.is_true(#zipped < 1000)
        local details = fails({ "accept", "read", canned.answer(200, zipped, { "Content-Encoding: gzip" }), "close" },
          { max_response_bytes = 1000, compress = true })
        assert.equal("response_too_large", details.code)
      end)
    end

    it("of a server that drips is a timeout, in time", function()
      local details, log = fails({ "accept", "read", "send HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "drip" },
        { timeout = 500 })
      assert.equal("timeout", details.code)
      assert.equal(1, #log)
    end)

    it("of a server that says it will send too much is response_too_large", function()
      local details = fails({ "accept", "read",
        "send HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" .. ("x"):rep(1001), "close" },
        { max_response_bytes = 1000 })
      assert.equal("response_too_large", details.code)
    end)

    it("of malformed chunks says so", function()
      local details = fails { "accept", "read",
        "send HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "close" }
      assert.truthy(({ bad_response = true, connection_lost = true })[details.code], details.code)
    end)

    it("of chunks that are cut is connection_lost", function()
      local details = fails { "accept", "read",
        "send HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,", "close" }
      assert.equal("connection_lost", details.code)
    end)

    it("is a redirect, which is not followed", function()
      local details, log = fails { "accept", "read",
        canned.answer(302, "", { "Location: http://127.0.0.1:1/elsewhere" }) }
      assert.equal("bad_response", details.code)
      assert.equal(302, details.status)
      assert.equal(1, #log)
    end)

    it("leaves a usable client", function()
      local server = canned.start { "accept", "read", "close", "accept", "read", canned.answer(200, METADATA) }
      local client = client_of(server)
      assert.is_nil((client:produce("t", "v")))
      assert.equal(7, client:produce("t", "v").offset)
      server:finish()
    end)
  end)

  describe("a retry", function()
    local function again(first, call, options)
      local steps = { "accept", "read" }
      for _, step in ipairs(first) do steps[#steps + 1] = step end
      local server = canned.start(steps)
      local all = { retries = 2, retry_delay = 1 }
      for name, value in pairs(options or {}) do all[name] = value end
      local client = client_of(server, all)
      local result, message, details = call(client)
      client:close()
      return result, server:finish(), message, details
    end

    local function produce(client) return client:produce("t", "v") end
    local function consume(client) return client:consume("g", "i", "t") end
    local function topics(client) return client:topics() end

    it("follows a 503 and a 429, also of a produce", function()
      local result, log = again({ canned.answer(503, "{}"), "read", canned.answer(429, "{}"), "read",
        canned.answer(200, METADATA) }, produce)
      assert.equal(7, result.offset)
      assert.equal(3, #log)
    end)

    it("waits for Retry-After", function()
      local start = socket.gettime()
      local result = again({ canned.answer(503, "{}", { "Retry-After: 1" }), "read", canned.answer(200, METADATA) },
        produce)
      assert.equal(7, result.offset)
      assert.is_true(socket.gettime() - start >= 1)
    end)

    it("waits for at least half of retry_delay", function()
      local start = socket.gettime()
      local result = again({ canned.answer(503, "{}"), "read", canned.answer(200, METADATA) }, produce,
        { retry_delay = 600 })
      assert.equal(7, result.offset)
      assert.is_true(socket.gettime() - start >= 0.3)
    end)

    it("does not start a wait that outlasts the call's timeout", function()
      local result, log, _, details = again({ canned.answer(503, "{}", { "Retry-After: 2" }), "close", "deaf" },
        produce, { timeout = 1900 })
      assert.is_nil(result)
      assert.equal("unavailable", details.code) -- not the code of a second attempt
      assert.equal(2, details.retry_after)
      assert.equal(1, #log)
    end)

    it("ends after the configured attempts", function()
      local bad = canned.answer(503, '{"error":"down","status":503}')
      local result, log, message = again({ bad, "read", bad, "read", bad }, produce)
      assert.is_nil(result)
      assert.equal("down", message)
      assert.equal(3, #log)
    end)

    it("never sends a produce or a consume twice after a lost response", function()
      for _, call in ipairs { produce, consume } do
        local result, log, _, details = again({ "close", "nobody" }, call)
        assert.is_nil(result)
        assert.equal("connection_lost", details.code)
        assert.equal(1, #log)
      end
    end)

    it("never repeats a produce when a kept connection dies with the request on it", function()
      -- libcurl opens another connection before it is asked whether it may send.
      local steps = { canned.answer(200, '{"t":1}'), "read", "close", features.reconnects and "accept" or "nobody" }
      if features.reconnects then steps[#steps + 1] = "read" end
      for _, call in ipairs { produce, consume } do
        local result, log, _, details = again(steps,
          function(client)
            assert.same({ t = 1 }, client:topics())
            return call(client)
          end)
        assert.is_nil(result)
        assert.equal("connection_lost", details.code)
        assert.equal(features.reconnects and "late: read" or nil, log[3])
      end
    end)

    it("does not happen if a kept connection dies with a produce on it and no new one can be made", function()
      for _, call in ipairs { produce, consume } do
        local result, log, message, details = again({ canned.answer(200, '{"t":1}'), "read", "deaf", "close" },
          function(client)
            assert.same({ t = 1 }, client:topics())
            return call(client)
          end)
        assert.is_nil(result)
        assert.equal("connection_lost", details.code)
        assert.equal("the connection broke before the answer was complete", message)
        assert.equal(2, #log)
      end
    end)

    it("is not needed if a kept connection was closed while idle", function()
      local answer = canned.answer(200, METADATA)
      local server = canned.start { "accept", "read", answer, "close", "mark", "accept", "read", answer }
      local client = client_of(server)
      assert.equal(7, client:produce("t", "v").offset)
      server:await()
      assert.equal(7, client:produce("t", "v").offset)
      client:close()
      assert.equal(2, #server:finish())
    end)

    it("F8: is not needed after a response that closes its connection: the next request opens another one", function()
      for _, line in ipairs { "Connection: close", "connection: Close" } do
        local server = canned.start { "accept", "read", canned.answer(200, METADATA, { line }), "accept", "read",
          canned.answer(200, METADATA) }
        local client = client_of(server)
        assert.equal(7, client:produce("t", "v").offset)
        assert.equal(7, client:produce("t", "v").offset)
        client:close()
        assert.equal(2, #server:finish())
      end
    end)

    it("F8: is not needed after an HTTP/1.0 response, which closes its connection too", function()
      local server = canned.start { "accept", "read",
        ("send HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#METADATA, METADATA), "accept", "read",
        canned.answer(200, METADATA) }
      local client = client_of(server)
      assert.equal(7, client:produce("t", "v").offset)
      assert.equal(7, client:produce("t", "v").offset)
      client:close()
      assert.equal(2, #server:finish())
    end)

    it("is not made by the transport when a kept connection breaks off a response", function()
      local part = "send HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n["
      local result, log, _, details = again({ canned.answer(200, '{"t":1}'), "read", part, "close", "nobody" },
        function(client)
          assert.same({ t = 1 }, client:topics())
          return client:topics()
        end, { retries = 0 })
      assert.is_nil(result)
      assert.equal("connection_lost", details.code)
      assert.equal(2, #log)
    end)

    it("repeats a request that only reads after a lost response", function()
      local result, log = again({ "close", "accept", "read", canned.answer(200, '{"t":1}') }, topics)
      assert.same({ t = 1 }, result)
      assert.equal(2, #log)
    end)

    it("does not follow a 502 for a produce: a gateway may have passed it on", function()
      local result, log = again({ canned.answer(502, "{}") }, produce)
      assert.is_nil(result)
      assert.equal(1, #log)
      assert.same({ t = 1 }, (again({ canned.answer(502, "{}"), "read", canned.answer(200, '{"t":1}') }, topics)))
    end)

    it("does not follow a permanent failure", function()
      local result, log = again({ canned.answer(401, "{}") }, topics)
      assert.is_nil(result)
      assert.equal(1, #log)
    end)

    it("never happens for health", function()
      local result, log, message, details = again({ canned.answer(503,
        '{"error":"the disk is full","status":503,"engine":"log"}', { "Retry-After: 1" }) },
        function(client) return client:health() end)
      assert.is_nil(result)
      assert.equal(1, #log)
      assert.equal("the disk is full", message)
      assert.equal("unavailable", details.code)
    end)

    it("reaches a server that starts late", function()
      local port = closed_port()
      local client = new { url = "http://127.0.0.1:" .. port, retries = 2, retry_delay = 1 }
      local _, _, details = client:produce("t", "v")
      assert.equal("connect_failed", details.code)
    end)
  end)
end

return cases
