-- What real pages can and cannot do: Debian's chromium opens pages of another origin that call a
-- server.
--
-- "gate" is an nginx in front of the server that makes the browser remember credentials, as our own
-- 401 never does; its log says what the browser sent. A page at localhost is from another site than
-- 127.0.0.1; a page at another port is only from another origin.

local http = require "spec.support.http"
local folder = require "spec.support.folder"
local plain_nginx = require "spec.support.plain_nginx"
local support = require "spec.support.server"
local webdriver = require "spec.support.webdriver"

local PAGES = [[
http {
  default_type text/html;
  access_log off;
  server {
    listen 127.0.0.1:8080;
    root pages;
  }
}
events {}
]]

local GATE = [[
http {
  log_format seen '$request_method $uri [$http_authorization] $http_sec_fetch_site $http_sec_fetch_mode $status';
  server {
    listen 127.0.0.1:8080;
    access_log seen.log seen;
    location = /login {
      if ($http_authorization = "") {
        add_header WWW-Authenticate 'Basic realm="upstash-kafka"' always;
        return 401;
      }
      return 200 "logged in";
    }
    location / {
      proxy_set_header Host $http_host;
      proxy_pass http://SERVER;
    }
  }
}
events {}
]]

local USER, PASSWORD = "user", "secret"
local REMEMBERED = http.basic(USER, PASSWORD)

describe("a browser:", function()
  local server, client, pages, gate, browser, sites

  setup(function()
    server = support.start { username = USER, password = PASSWORD }
    client = http.client(server.url, USER, PASSWORD)
    pages = plain_nginx.start(PAGES)
    assert(os.execute("mkdir " .. pages.place .. "/pages"))
    folder.write(pages.place .. "/pages/empty.html", "<!DOCTYPE html><title>empty</title>")
    gate = plain_nginx.start(GATE, { SERVER = client.host .. ":" .. client.port })
    browser = webdriver.start()
    sites = { ["cross-site"] = "http://localhost:" .. pages.port, ["same-site"] = "http://127.0.0.1:" .. pages.port }
  end)

  teardown(function()
    if browser then browser:stop() end
    if gate then gate:stop() end
    if pages then pages:stop() end
    if server then server:stop() end
  end)

  local function topic()
    local name = support.name "page"
    assert.equal(201, client:request("POST", "/topics/" .. name, { body = '{"partitions":1}' }).status)
    return name
  end

  local function stored(name)
    local response = client:request("POST", "/offsets/latest", { body = ('{"topic":%q,"partition":0}'):format(name) })
    return tonumber(response.body:match '"offset":(%d+)')
  end

  -- Opens a page of the site with this body.
  local function open(site, body)
    folder.write(pages.place .. "/pages/page.html", "<!DOCTYPE html><title>waiting</title><body>" .. body)
    browser:open(sites[site] .. "/page.html")
  end

  local function ends_as(title)
    browser:wait(function() return browser:call "return document.title" ~= "waiting" end)
    assert.equal(title, browser:call "return document.title")
  end

  local CALL = [[
    const [url, method, headers, body] = arguments;
    return fetch(url, { method, headers, body })
      .then(async (answer) => [answer.status, await answer.text(), answer.headers.get("Allow")]);
  ]]

  -- What a script in the page gets from the server: status, text, and one of the headers that it
  -- may read.
  local function call(method, path, headers, body)
    local all = { Authorization = REMEMBERED }
    for name, value in pairs(headers or {}) do all[name] = value end
    local unpack = table.unpack or unpack -- luacheck: ignore
    return unpack(browser:call(CALL, server.url .. path, method, all, body))
  end

  for _, site in ipairs { "cross-site", "same-site" } do
    describe("B5: the script of a " .. site .. " page", function()
      before_each(function() browser:open(sites[site] .. "/empty.html") end)

      it("produces, consumes and fetches with credentials of its own", function()
        local name = topic()
        local json = { ["Content-Type"] = "application/json", ["Idempotency-Key"] = "k-" .. name }
        local status, text = call("POST", "/produce/" .. name, json, '{"value":"from a page"}')
        assert.equal(200, status, text)
        assert.equal(1, stored(name))
        local earliest = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Enable-Auto-Commit"] = "false" }
        browser:wait(function()
          status, text = call("GET", ("/consume/g-%s/one/%s?timeout=500"):format(name, name), earliest)
          assert.equal(200, status, text)
          return text ~= "[]"
        end)
        assert.is_truthy(text:find('"value":"from a page"', 1, true), text)
        status, text = call("POST", "/fetch", json, ('{"topic":%q,"partition":0,"offset":0}'):format(name))
        assert.equal(200, status, text)
        assert.is_truthy(text:find('"value":"from a page"', 1, true), text)
      end)

      it("deletes a topic, and reads every error with its headers", function()
        local name = topic()
        assert.equal(200, (call("DELETE", "/topics/" .. name)))
        local status, text = call("POST", "/fetch", {}, ('{"topic":%q,"partition":0,"offset":0}'):format(name))
        assert.equal(404, status)
        assert.is_truthy(text:find '"status":404', text)
        local refused, said, allow = call("POST", "/topics", {}, "{}")
        assert.equal(405, refused)
        assert.is_truthy(said:find '"status":405', said)
        assert.equal("GET, HEAD, OPTIONS", allow)
      end)

      it("reads a 401, which shows no login prompt", function()
        local status, text = call("GET", "/topics", { Authorization = http.basic(USER, "wrong") })
        assert.equal(401, status)
        assert.is_truthy(text:find '"status":401', text)
      end)
    end)
  end

  it("remembers no credentials for our server", function()
    local name = topic()
    browser:open(("http://%s:%s@%s:%d/topics"):format(USER, PASSWORD, client.host, client.port))
    assert.is_truthy(browser:call("return document.body.innerText"):find '"status":401')
    open("cross-site", ([[<img src="%s/produce/%s/x" onload="document.title = 'loaded'"
      onerror="document.title = 'failed'">]]):format(server.url, name))
    ends_as "failed"
    assert.equal(0, stored(name))
  end)

  describe("E10: credentials that the browser remembers", function()
    local function url(path) return gate.url .. path end

    setup(function()
      browser:open(("http://%s:%s@127.0.0.1:%d/login"):format(USER, PASSWORD, gate.port))
      assert.equal("logged in", browser:call "return document.body.innerText")
    end)

    -- What the gate saw of a path.
    local function seen(path)
      return browser:wait(function()
        for line in gate:read("seen.log"):gmatch "[^\n]+" do
          if line:find(path .. " ", 1, true) then return line end
        end
      end)
    end

    -- This chromium requests what another site's page embeds without credentials; other browsers
    -- may not.
    local function was_refused(method, site, mode, path)
      local line, expected = seen(path), ("%s %s [%%s] %s %s 403"):format(method, path, site, mode)
      local without = site == "cross-site" and mode == "no-cors" and line == expected:format "-"
      assert.equal(expected:format(without and "-" or REMEMBERED), line)
    end

    it("are used by a page from the server itself", function()
      local name = topic()
      browser:open(url "/health")
      assert.equal(200, browser:call("return fetch(arguments[0]).then((answer) => answer.status)",
        "/produce/" .. name .. "/own"))
      assert.equal(1, stored(name))
    end)

    for _, site in ipairs { "cross-site", "same-site" } do
      describe("a " .. site .. " page are not used by:", function()
        it("an image", function()
          local name = topic()
          local path = "/produce/" .. name .. "/x"
          open(site, ([[<img src="%s" onload="document.title = 'loaded'" onerror="document.title = 'failed'">]])
            :format(url(path)))
          ends_as "failed"
          was_refused("GET", site, "no-cors", path)
          assert.equal(0, stored(name))
        end)

        it("an image with credentials in its address", function()
          local name = topic()
          local address = url("/produce/" .. name .. "/x"):gsub("//", ("//%s:%s@"):format(USER, PASSWORD), 1)
          open(site, ([[<img src="%s" onload="document.title = 'loaded'" onerror="document.title = 'failed'">]])
            :format(address))
          ends_as "failed"
          assert.equal(0, stored(name))
        end)

        it("a link", function()
          local name = topic()
          local path = "/produce/" .. name .. "/x"
          open(site, ([[<a href="%s">free money</a>]]):format(url(path)))
          browser:call "document.links[0].click()"
          was_refused("GET", site, "navigate", path)
          assert.equal(0, stored(name))
        end)

        it("a form", function()
          local name = topic()
          local path = "/produce/" .. name
          open(site, ([[<form method="post" enctype="text/plain" action="%s">
            <input name='{"value":"' value='"}'></form>]]):format(url(path)))
          browser:call "document.forms[0].submit()"
          was_refused("POST", site, "navigate", path)
          assert.equal(0, stored(name))
        end)

        it("a request that its script may not read", function()
          local name = topic()
          local path = "/produce/" .. name
          open(site, "")
          assert.equal("opaque", browser:call([[return fetch(arguments[0], { method: "POST", mode: "no-cors",
            credentials: "include", body: '{"value":"v"}' }).then((answer) => answer.type)]], url(path)))
          was_refused("POST", site, "no-cors", path)
          assert.equal(0, stored(name))
        end)
      end)
    end
  end)
end)
