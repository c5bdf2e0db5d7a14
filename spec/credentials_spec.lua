-- for: access.c, dispatch.c. A server with a file of credentials: what each may do, and how changes
-- of the file take effect. The matrix of permissions is permissions_test.c.

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
      return as(user, function(client) return client:consume(group, "i", topic, { timeout = 0, auto_offset_reset = "earliest" }) end)
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
    shell.eventually(20, function() return 401 == select(3, as("one", function(client) return client:topics() end)) end)
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
