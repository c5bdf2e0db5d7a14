-- for: http_lines.c, http_headers.c, http_exchange.c
--
-- E4: requests that a proxy may read differently from the server, on real sockets, plain and TLS.
-- Each is followed by a produce, which must not run.

local certificates = require "spec.support.certificates"
local folder = require "spec.support.folder"
local http = require "spec.support.http"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

local PATIENCE = 60 -- seconds: a bound for hangs

describe("E4: framing", function()
  local place, servers, login

  setup(function()
    place = folder.make()
    local cert, key = certificates.self_signed(place, "here", "IP:127.0.0.1")
    servers = { plain = support.start(), TLS = support.start { tls_cert = cert, tls_key = key } }
    login = "Authorization: " .. http.basic(servers.plain.username, servers.plain.password) .. "\r\n"
  end)

  teardown(function()
    for _, server in pairs(servers) do server:stop() end
    folder.remove(place)
  end)

  local ask = {}

  -- Returns everything that the server sends until it closes the connection.
  function ask.plain(server, bytes)
    local connection = http.connect("127.0.0.1", server.url:match ":(%d+)$")
    connection:send(bytes)
    connection:ends(PATIENCE)
    assert.is_true(connection.closed)
    connection:close()
    return connection.buffer
  end

  function ask.TLS(server, bytes)
    local path = place .. "/request"
    folder.write(path, bytes)
    local _, out = shell.run(("timeout %d openssl s_client -quiet -connect %s < %s"):format(PATIENCE,
      server.url:match "//(.*)$", path))
    return out
  end

  local function head(method, version, lines)
    return ("%s /produce/framing HTTP/%s\r\n%s%s"):format(method, version, lines, login)
  end

  local function get(lines, version) return function() return head("GET", version or "1.1", lines) .. "\r\n" end end

  local function chunked(chunks, version)
    return function()
      return head("POST", version or "1.1", "Host: x\r\nTransfer-Encoding: chunked\r\n") .. "\r\n" .. chunks
    end
  end

  local cases = {
    ["a folded line"] = get "Host: x\r\nX: y\r\n z\r\n",
    ["a NUL in a value"] = get "Host: x\r\nX: y\0z\r\n",
    ["a bare CR in a value"] = get "Host: x\r\nX: y\rz\r\n",
    ["CR CR LF"] = get "Host: x\r\nX: y\r\r\n",
    ["a bare LF"] = get "Host: x\r\nX: y\nZ: z\r\n",
    ["a line that begins with a colon"] = get "Host: x\r\n: y\r\n",
    ["a blank before the colon"] = get "Host: x\r\nContent-Length : 0\r\n",
    ["a CR in the extension of a chunk"] = chunked "1;a\rb\r\n{\r\n0\r\n\r\n",
    ["a LF in the extension of a chunk"] = chunked "1;a\nb\r\n{\r\n0\r\n\r\n",
    ["a bare LF after a chunk's size"] = chunked "1\n{\r\n0\r\n\r\n",
    ["a length and chunks"] = get "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    ["two lengths"] = get "Host: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n",
    ["chunks in HTTP/1.0"] = chunked("0\r\n\r\n", "1.0"),
    ["no Host"] = get "",
    ["two Hosts"] = get "Host: x\r\nHost: x\r\n",
    ["two Hosts in HTTP/1.0"] = get("Host: x\r\nHost: y\r\n", "1.0"),
  }

  for title, build in pairs(cases) do
    for _, kind in ipairs { "plain", "TLS" } do
      it(("%s, %s: is a 400, and the connection closes"):format(title, kind), function()
        local server = servers[kind]
        local said = ask[kind](server, build() .. "GET /produce/smuggled/x HTTP/1.1\r\nHost: x\r\n" .. login .. "\r\n")
        assert.equal("HTTP/1.1 400", said:sub(1, 12))
        assert.is_nil(said:find("HTTP/1%.1 %d", 13)) -- a page of the library may name the version
        assert.is_truthy(said:lower():find("\r\nconnection: close\r\n", 1, true), said)
        local client = server:client { verify = false }
        assert.same({}, client:topics()) -- nothing was produced
        client:close()
      end)
    end
  end
end)
