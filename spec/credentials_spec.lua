-- for: access.c, dispatch.c, server_credentials.c. A server with a file of credentials: what each
-- may do, how changes of the file take effect, and the command that edits it. The matrix of
-- permissions is permissions_test.c.

local folder = require "spec.support.folder"
local kafka = require "upstash.kafka"
local server = require "upstash.kafka.server"
local shell = require "spec.support.shell"

-- The SHA-256 of "abc", and a cheap yescrypt of it.
local FAST = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
local SLOW = "$y$j75$saltsalt$ZScL9PANm1K9SitD7.SzSTFDXRRTaLo0RRCKFTaofv/"

local function row(user, permission, topics, more)
  return ('{"user":"%s","secrets":["%s"],"permission":"%s","topics":["%s"]%s}\n'):format(user,
    user:find "slow" and SLOW or FAST, permission, topics, more or "")
end

describe("a file of credentials", function()
  local data, path, handle

  local function put(text)
    folder.write(path .. ".new", text)
    assert(os.execute("chmod 600 '" .. path .. ".new'"))
    assert(os.rename(path .. ".new", path))
  end

  local function start()
    handle = assert(server.start { listen = "127.0.0.1:0", data = data, credentials = path })
  end

  local function as(user, call)
    local client = kafka.new { url = handle:url(), username = user, password = "abc", retries = 0 }
    local result, message, details = call(client)
    client:close()
    return result, message, details and details.status or 200
  end

  before_each(function()
    data = folder.name()
    assert(os.execute("mkdir '" .. data .. "'"))
    path = data .. "/credentials"
  end)
  after_each(function()
    if handle then handle:stop() end
    handle = nil
    folder.remove(data)
  end)

  it("gives each user a permission and topics", function()
    put(row("maker", "produce", "own-*") .. row("slow-reader", "consume", "own-a") .. row("boss", "full", "*")
      .. row("watcher", "monitor", "*"))
    start()
    assert.equal(0, as("maker", function(client) return client:produce("own-a", "hello") end).offset)
    local _, message, status = as("maker", function(client) return client:produce("other", "hello") end)
    assert.same({ 'topic: the credentials do not permit topic "other"', 403 }, { message, status })
    assert(as("boss", function(client) return client:produce("other", "hello") end))
    local messages = as("slow-reader", function(client)
      return client:fetch { topic = "own-a", partition = 0, offset = 0 }
    end)
    assert.equal("hello", messages[1].value)
    assert.same({ ["own-a"] = 1 }, (as("slow-reader", function(client) return client:topics() end)))
    assert.same({ ["own-a"] = 1, other = 1 }, (as("watcher", function(client) return client:topics() end)))
    assert.same({}, (as("watcher", function(client) return client:consumers() end)))
    _, message, status = as("watcher", function(client)
      return client:fetch { topic = "own-a", partition = 0, offset = 0 }
    end)
    assert.same({ "the credentials do not permit fetch", 403 }, { message, status })
    status = select(3, as("nobody", function(client) return client:topics() end))
    assert.equal(401, status)
  end)

  it("E9: leaves the groups of others alone", function()
    put(row("boss", "full", "*") .. row("guest", "consume", "own-*"))
    start()
    assert(as("boss", function(client) return client:produce("own-a", "x") end))
    assert(as("boss", function(client) return client:produce("other", "x") end))
    local function consume(user, group, topic)
      return as(user, function(client)
        return client:consume(group, "i", topic, { timeout = 0, auto_offset_reset = "earliest" })
      end)
    end
    assert(consume("boss", "live", "other"))
    assert(consume("boss", "left", "other"))
    assert(as("boss", function(client) return client:delete_consumer("left", "i") end))
    for _, group in ipairs { "live", "left" } do
      local said = ('group "%s": the credentials do not permit every topic of this group'):format(group)
      local _, message, status = consume("guest", group, "own-a")
      assert.same({ said, 403 }, { message, status })
      _, message, status = as("guest", function(client) return client:commit(group, "i") end)
      assert.same({ said, 403 }, { message, status })
      _, message, status = as("guest", function(client) return client:delete_consumer(group, "i") end)
      assert.same({ said, 403 }, { message, status })
    end
    assert.equal("x", consume("guest", "free", "own-a")[1].value)
    assert(as("guest", function(client) return client:commit("free", "i") end))
    local groups = as("guest", function(client) return client:consumers() end)
    assert.same({ 1, "free" }, { #groups, groups[1].name })
    assert(as("guest", function(client) return client:delete_consumer("free", "i") end))
  end)

  it("takes effect when it changes, and a broken one changes nothing", function()
    put(row("one", "full", "*"))
    start()
    assert(as("one", function(client) return client:topics() end))
    put(row("two", "full", "*"))
    shell.eventually(20, function()
      return 401 == select(3, as("one", function(client) return client:topics() end))
    end)
    assert(as("two", function(client) return client:topics() end))
    put(row("three", "full", "*") .. "{}")
    local reloaded, message, details = handle:reload()
    assert.is_nil(reloaded)
    assert.equal(("credentials: %s: line 2: user: missing"):format(path), message)
    assert.equal("bad_request", details.code)
    assert(as("two", function(client) return client:topics() end))
    put(row("three", "full", "*"))
    assert.is_true(handle:reload())
    assert(as("three", function(client) return client:topics() end))
  end)

  it("E9: names hosts and folders in /health only to those with credentials", function()
    put(row("one", "produce", "t"))
    start()
    assert(os.rename(data, data .. "-moved"))
    shell.eventually(20, function() return not as("one", function(client) return client:health() end) end)
    local _, message = as("one", function(client) return client:health() end)
    assert.truthy(message:find(data, 1, true), message)
    for _, user in ipairs { "none", "wrong" } do
      local client = kafka.new { url = handle:url(), username = user ~= "none" and user or nil,
        password = user ~= "none" and "x" or nil, retries = 0 }
      _, message = client:health()
      client:close()
      assert.equal("the server cannot serve this now", message)
    end
    assert(os.rename(data .. "-moved", data))
  end)

  describe("is edited by upstash-kafka credentials:", function()
    local function run(words, input)
      local status, out, err = shell.upstash_kafka(words, { input = input })
      return { status, out, err }
    end

    local function login(user, password)
      local client = kafka.new { url = handle:url(), username = user, password = password, retries = 0 }
      local result = client:topics()
      client:close()
      return result ~= nil
    end

    it("add, list, check, remove", function()
      local made = run { "credentials", "add", path, "shop", "--permission", "produce", "--topic", "orders", "--topic",
        "shop-*" }
      assert.same({ 0, "" }, { made[1], made[3] })
      local password = made[2]:match "^([%w_-]+)\n$"
      assert.equal(32, #password)
      assert.same({ 0, "", "" }, run({ "credentials", "add", path, "billing", "--permission", "consume", "--topic", "*",
        "--group", "b-*", "--password-file", "-" }, "typed it\nmore\n"))
      assert.same({ 0, "2 credentials\n", "" }, run { "credentials", "check", path })
      local listed = run { "credentials", "list", path }
      assert.same({ 0, "user=shop permission=produce passwords=1 topics=orders,shop-*\n"
        .. "user=billing permission=consume passwords=1 topics=* groups=b-*\n", "" }, listed)
      assert.is_nil(folder.read(path):find(password, 1, true))
      assert.truthy(folder.read(path):find('"$y$', 1, true))
      start()
      assert.is_true(login("shop", password))
      assert.is_true(login("billing", "typed it"))
      local second = run({ "credentials", "add", path, "shop" })[2]:match "^([%w_-]+)\n$"
      assert.is_true(handle:reload())
      assert.is_true(login("shop", password) and login("shop", second))
      assert.same({ 1, "", "upstash-kafka: credentials add: user shop has two passwords: remove the older one first "
        .. "(credentials remove --oldest)\n" }, run { "credentials", "add", path, "shop" })
      assert.same({ 0, "", "" }, run { "credentials", "remove", path, "shop", "--oldest" })
      assert.is_true(handle:reload())
      assert.is_true(not login("shop", password) and login("shop", second))
      assert.equal(1, run({ "credentials", "remove", path, "shop", "--oldest" })[1])
      assert.same({ 0, "", "" }, run { "credentials", "remove", path, "shop" })
      assert.same({ 0, "1 credentials\n", "" }, run { "credentials", "check", path })
    end)

    it("what is wrong changes nothing", function()
      put(row("one", "full", "*"))
      assert(os.execute("chmod 640 '" .. path .. "'"))
      local before = folder.read(path)
      for expected, words in pairs {
        ["a new user needs --permission and --topic"] = { "credentials", "add", path, "two" },
        ["user one exists: it gets a second password, and nothing else changes"] =
          { "credentials", "add", path, "one", "--permission", "full" },
        ["line 2: topics: a topic name"] =
          { "credentials", "add", path, "two", "--permission", "full", "--topic", "a*b" },
        ["line 2: user: 1 to 255 bytes"] =
          { "credentials", "add", path, "a:b", "--permission", "full", "--topic", "*" },
        ["has no user two"] = { "credentials", "remove", path, "two" },
        ["without --oldest it is removed"] = { "credentials", "remove", path, "one", "--oldest" },
        ["No such file or directory"] = { "credentials", "list", path .. "-none" },
        ["holds no password"] = { "credentials", "add", path, "one", "--password-file", "/dev/null" },
        ["full or produce or consume or monitor expected"] =
          { "credentials", "add", path, "two", "--permission", "all", "--topic", "*" },
      } do
        local result = run(words)
        assert.is_true(result[1] ~= 0, expected)
        assert.truthy(result[3]:find(expected, 1, true), result[3])
        assert.equal(before, folder.read(path))
      end
      assert.equal(0, run({ "credentials", "add", path, "one" })[1])
      assert.equal("640\n", select(2, shell.run("stat -c '%a' '" .. path .. "'")))
      assert.equal("credentials\n", select(2, shell.run("ls '" .. data .. "'")))
    end)
  end)

  it("is needed where no other credential is given", function()
    assert.error_matches(function() server.start { data = data } end, "username: required, but absent")
    assert.error_matches(function() server.start { data = data, credentials = path, username = "u" } end,
      "password: required, but absent")
    local nothing, message = server.start { listen = "127.0.0.1:0", data = data, credentials = path }
    assert.is_nil(nothing)
    assert.equal(("credentials: %s: No such file or directory"):format(path), message)
  end)

  it("C1: is read again on SIGHUP, which ends nothing", function()
    put(row("one", "full", "*"))
    local process = shell.start(shell.lua .. " -e " .. shell.quote(([[
      local server = require "upstash.kafka.server"
      server.block_signals()
      local handle = assert(server.start { listen = "127.0.0.1:0", data = %q, credentials = %q })
      io.stdout:write("ready\n")
      io.stdout:flush()
      server.wait_for_signal(handle)
      handle:stop()
    ]]):format(data .. "/log", path)))
    process:expect "(ready)\n"
    process:signal "HUP"
    shell.eventually(20, function() return process:errors() ~= "" end)
    process:signal "TERM"
    assert.equal(0, process:wait())
    assert.equal("upstash-kafka: SIGHUP: the credentials were read again\n", process:errors())
    process:remove()
  end)
end)
