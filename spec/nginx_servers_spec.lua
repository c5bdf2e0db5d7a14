-- examples/nginx-servers/nginx.conf: which requests nginx repeats to another server. For the rest
-- see spec/kafka/several_servers_spec.lua.

local canned = require "spec.support.canned_server"
local cjson = require "cjson"
local faulty_proxy = require "spec.support.faulty_proxy"
local folder = require "spec.support.folder"
local free_port = require "spec.support.free_port"
local http = require "spec.support.http"
local plain_nginx = require "spec.support.plain_nginx"
local server_support = require "spec.support.server"
local shell = require "spec.support.shell"

if shell.run [[PATH="$PATH:/usr/sbin" sh -c 'command -v nginx']] ~= 0 then return pending "nginx is not installed" end

local STORED = canned.answer(200, '[{"topic":"t","partition":0,"offset":0,"timestamp":1}]')
local UNAVAILABLE = canned.answer(503, '{"error":"not now","status":503}', { "Retry-After: 1" })

-- Requests that append, in each of their forms.
local APPENDS = {
  { "GET", "/produce/t/message" }, { "GET", "/produce/t/message?key=k" },
  { "GET", "/produce/t", '{"value":"v"}' }, { "POST", "/produce/t", '{"value":"v"}' },
  { "POST", "/produce", '{"topic":"t","value":"v"}' }, { "POST", "/produce/", '{"topic":"t","value":"v"}' },
  { "GET", "/webhook?topic=t&user=u&pass=p" }, { "POST", "/webhook?topic=t", "v" },
}

-- Paths that append to the topic t, and what they append: nginx chooses the location by a different
-- path.
local DOTTED = {
  ["..%2F..%2Fx"] = "../../x",
  ["%2e%2e%2f%2e%2e%2ffoo"] = "../../foo",
  ["a%2F..%2F..%2F..%2Fb"] = "a/../../../b",
  ["..%2F..%2Fconsume%2Fg%2Fi"] = "../../consume/g/i",
  ["%2E.%2f.%2E%2fconsumers?key=k"] = "../../consumers",
  ["x%2F..%2F..%2F.."] = "x/../../..",
  ["..%2F..#"] = "../..#",
}

describe("examples/nginx-servers/nginx.conf", function()
  local front

  local function stop()
    local last = front
    front = nil
    if last then last:stop() end
  end

  after_each(stop)

  -- One worker, which tries the first server first, and the others as soon as it may.
  local function start(first, second, more)
    local replacements = { ["worker_processes auto;"] = "worker_processes 1;" }
    for number, url in ipairs { first, second, second } do
      replacements[("server 127.0.0.1:808%d "):format(number)] = ("server %s "):format(url:match "//(.*)")
    end
    replacements["fail_timeout=5s"] = "fail_timeout=600s" -- however long the next request takes
    for from, to in pairs(more or {}) do replacements[from] = to end
    front = plain_nginx.start(folder.read "examples/nginx-servers/nginx.conf", replacements)
  end

  local function request(url, row)
    local client = http.client(url, "user", "secret")
    local response = client:request(row[1], row[2], { body = row[3], headers = row[4], timeout = 60 })
    client:close()
    return response
  end

  -- Sends a request to a first server, which then follows `steps`, and a second that would store
  -- it.
  local function through(row, steps, more)
    local all = { "accept", "read" }
    for _, step in ipairs(steps) do all[#all + 1] = step end
    local first, second = canned.start(all), canned.start { "accept", "read", STORED }
    start(first.url, second.url, more)
    local response = request(front.url, row)
    if response.status ~= 200 then assert.equal(200, request(second.url, { "GET", "/mine" }).status) end
    return response, first:finish(), second:finish()
  end

  for _, row in ipairs(APPENDS) do
    local name = row[1] .. " " .. row[2]

    it("F7: does not repeat a request that a server may have stored: " .. name, function()
      for what, steps in pairs { ["no answer"] = { "close" },
        ["a cut answer"] = { "send HTTP/1.1 200 OK\r\nCont", "close" } } do
        local response, first, second = through(row, steps)
        assert.same({ what, 502 }, { what, response.status })
        assert.equal(502, cjson.decode(response.body).status)
        assert.same({ 1, 1 }, { #first, #second })
        assert.is_truthy(second[1]:find("^GET /mine "))
        stop()
      end
    end)

    it("F7: does not repeat a request that a server does not answer: " .. name, function()
      local response, first, second = through(row, { "gone" },
        { ["proxy_read_timeout 630s;"] = "proxy_read_timeout 1s;" })
      assert.equal(504, response.status)
      assert.equal(504, cjson.decode(response.body).status)
      assert.equal(1, #first)
      assert.is_truthy(second[1]:find("^GET /mine "))
    end)

    it("F7: repeats a request that a server answers with 503: " .. name, function()
      local response, first, second = through(row, { UNAVAILABLE, "close" })
      assert.equal(200, response.status, response.body)
      assert.same({ 1, 1 }, { #first, #second })
      local line = row[1] .. " " .. row[2] .. " "
      assert.equal(line, second[1]:sub(1, #line))
    end)
  end

  it("repeats a produce with an idempotency key, with its body, after whatever failure", function()
    for _, row in ipairs(APPENDS) do
      for _, step in ipairs { "close", "send HTTP/1.1 200 OK\r\nCont", UNAVAILABLE } do
        local keyed = { row[1], row[2], row[3], { ["Idempotency-Key"] = "order-1" } }
        local response, first, second = through(keyed, step == "close" and { step } or { step, "close" })
        assert.same({ row[2], step, 200 }, { row[2], step, response.status })
        for _, seen in ipairs { first, second } do
          assert.equal(1, #seen)
          assert.equal(row[1] .. " " .. row[2] .. " ", seen[1]:sub(1, #row[1] + #row[2] + 2))
          assert.is_truthy(seen[1]:find "\n[Ii]dempotency%-[Kk]ey: order%-1\n")
          assert.equal(row[3] or "", seen[1]:sub(#seen[1] - #(row[3] or "") + 1))
        end
        stop()
      end
    end
  end)

  it("sends what a server that stops refuses to another one", function()
    for _, row in ipairs {
      { "POST", "/fetch", '{"topic":"t","partition":0,"offset":0}' },
      { "GET", "/topics" }, { "POST", "/topics/t", "{}" },
    } do
      local response, first, second = through(row, { UNAVAILABLE, "close" })
      assert.same({ row[2], 200 }, { row[2], response.status })
      assert.same({ 1, 1 }, { #first, #second })
      stop()
    end
  end)

  for path, value in pairs(DOTTED) do
    it("F7: does not repeat a produce with dot segments: " .. path, function()
      local server = server_support.start()
      local losing = faulty_proxy.start(server.url, "lose /produce/ 0")
      start(losing.url, server.url)
      local client = http.client(front.url, server.username, server.password)
      local response = client:request("GET", "/produce/t/" .. path, {})
      client:close()
      assert.equal(502, response.status)
      assert.equal('{"error":"no server answered","status":502}', response.body)
      local own, values = server:client(), {}
      for message in own:records { topic = "t", partition = 0, to = "latest" } do
        values[#values + 1] = message.value
      end
      own:close()
      assert.same({ value }, values)
      stop()
      losing.stop()
      server:stop()
    end)
  end

  it("F7: repeats a produce with dot segments, including its body, after a 503", function()
    local row = { "POST", "/produce/..%2f", '{"value":"v"}' }
    local response, first, second = through(row, { UNAVAILABLE, "close" })
    assert.equal(200, response.status, response.body)
    for _, seen in ipairs { first, second } do
      assert.equal(1, #seen)
      assert.is_truthy(seen[1]:find("^POST /produce/%.%.%%2f HTTP/1.1\n"))
      assert.equal(row[3], seen[1]:sub(-#row[3]))
    end
  end)

  it("passes on its port, which distinguishes its own pages from those of other origins", function()
    for _, row in ipairs { APPENDS[1], { "GET", "/topics" }, { "GET", "/x/../topics" } } do
      local _, first = through(row, { canned.answer(400, "{}") })
      assert.equal(front.url:match "//(.*)", first[1]:match "\n[Hh]ost: ([^\r\n]*)")
      stop()
    end
  end)

  it("F7: passes on a 503 if every server answers with it, and other failures at once", function()
    local first = canned.start { "accept", "read", UNAVAILABLE, "close" }
    local second = canned.start { "accept", "read", UNAVAILABLE, "close", "accept", "read", UNAVAILABLE, "close" }
    start(first.url, second.url)
    local response = request(front.url, APPENDS[1])
    assert.same({ 503, "1" }, { response.status, response.headers["retry-after"] })
    first:finish()
    second:finish()
    stop()
    for _, status in ipairs { 400, 429, 500, 504 } do
      local answer = canned.answer(status, ('{"error":"no","status":%d}'):format(status))
      local _, seen, other = through(APPENDS[4], { answer, "close" })
      assert.equal(1, #seen)
      assert.is_truthy(other[1]:find("^GET /mine "))
      stop()
    end
  end)

  it("F7: sends the next produce elsewhere after a failed connection", function()
    local second = canned.start { "accept", "read", STORED }
    start("http://127.0.0.1:" .. free_port(), second.url)
    assert.equal(502, request(front.url, APPENDS[1]).status)
    assert.equal(200, request(front.url, APPENDS[1]).status)
    second:finish()
  end)

  it("repeats requests that only read", function()
    local response, first, second = through({ "GET", "/topics" }, { "close" })
    assert.equal(200, response.status)
    assert.same({ 1, 1 }, { #first, #second })
  end)
end)
