local folder = require "spec.support.folder"
local kafka = require "upstash.kafka"
local launcher = require "upstash.kafka.launcher"
local lfs = require "lfs"
local shell = require "spec.support.shell"

describe("upstash.kafka.launcher", function()
  local data, launched

  before_each(function() data = folder.name() end)
  after_each(function()
    if launched then launched.handle:stop() end
    launched = nil
    folder.remove(data)
  end)

  local function start(options)
    options.data, options.listen = options.data or data, "127.0.0.1:0"
    launched = assert(launcher.start(options))
    return launched
  end

  local function topics(username, password)
    local client = kafka.new { url = launched.url, username = username, password = password, retries = 0 }
    local result, _, details = client:topics()
    client:close()
    return result and 200 or details.status
  end

  it("generates a password, stores it and uses it again", function()
    local password = start({}).password
    assert.is_truthy(password:match "^[%w_-]+$")
    assert.equal(32, #password)
    assert.equal(200, topics("kafka", password))
    launched.handle:stop()
    assert.equal(password, start({}).password)
    assert.equal(200, topics("kafka", password))
  end)

  it("generates another password for another folder", function()
    local first = start({}).password
    launched.handle:stop()
    folder.remove(data)
    assert.is_not.equal(first, start({}).password)
  end)

  it("keeps the password readable by its owner alone", function()
    start {}
    local _, modes = shell.run(("stat -c '%%a' '%s' '%s/password'"):format(data, data))
    assert.equal("700\n600\n", modes)
  end)

  it("uses a given password, and stores none", function()
    start { username = "me", password = "mine" }
    assert.equal(200, topics("me", "mine"))
    assert.equal(401, topics("me", "wrong"))
    assert.is_nil(folder.read(data .. "/password"))
  end)

  it("creates the folder and its parents", function()
    start { data = data .. "/a/b" }
    assert.is_not_nil(folder.read(data .. "/a/b/password"))
  end)

  it("does not change its argument", function()
    local options = { data = data, listen = "127.0.0.1:0" }
    launched = assert(launcher.start(options))
    assert.same({ data = data, listen = "127.0.0.1:0" }, options)
  end)

  it("says what is wrong with a folder", function()
    folder.write(data, "a file")
    local nothing, err = launcher.start { data = data .. "/below", listen = "127.0.0.1:0" }
    assert.is_nil(nothing)
    assert.is_truthy(err:find(data, 1, true), err)
  end)

  it("does not overwrite a password file that holds no password", function()
    assert(os.execute("mkdir '" .. data .. "'"))
    folder.write(data .. "/password", "")
    local nothing, err = launcher.start { data = data, listen = "127.0.0.1:0" }
    assert.is_nil(nothing)
    assert.is_truthy(err:find("/password (mode 644); chmod 600 it; or delete it to get a new password", 1, true), err)
    assert(os.execute(("chmod 600 '%s/password'"):format(data)))
    nothing, err = launcher.start { data = data, listen = "127.0.0.1:0" }
    assert.is_nil(nothing)
    assert.equal(("%s/password holds a password of 0 bytes, where at least 16 are expected; delete it to get a new one")
      :format(data), err)
    assert.equal("", folder.read(data .. "/password"))
  end)

  it("says what is wrong with the address", function()
    local nothing, err, details = launcher.start { data = data, listen = "nowhere" }
    assert.equal("bad_request", details.code)
    assert.is_nil(nothing)
    assert.is_truthy(err:find("listen", 1, true), err)
  end)

  it("has a default folder", function()
    local print_it = [[print(require("upstash.kafka.launcher").default_data())]]
    local function default(environment)
      local _, out = shell.run("env -u XDG_DATA_HOME -u HOME " .. environment .. " " .. shell.lua .. " -",
        { input = print_it })
      return out
    end
    assert.equal("/x/upstash-kafka\n", default "XDG_DATA_HOME=/x HOME=/h")
    assert.equal("/h/.local/share/upstash-kafka\n", default "HOME=/h")
    assert.equal("nil\tno folder for the messages: HOME is not set\n", default "")
  end)

  -- Starts a server with options that it refuses, after the launcher has done its own part. This
  -- needs no broker.
  local function try(options)
    options.brokers, options.threads = "127.0.0.1:1", 1000
    local nothing, err = launcher.start(options)
    assert.is_nil(nothing)
    assert.is_truthy(err:find("threads: ", 1, true), err)
  end

  describe("C2: writes nothing", function()
    local busy

    after_each(function() if busy then busy.handle:stop() end end)

    it("if the port is in use", function()
      busy = assert(launcher.start { data = data .. "/busy", listen = "127.0.0.1:0" })
      local nothing, err = launcher.start { data = data .. "/new", listen = busy.url:match "//(.*)$" }
      assert.is_nil(nothing)
      assert.is_truthy(err:find "^listen: .*in use")
      assert.is_nil(lfs.attributes(data .. "/new"))
    end)

    it("C7: if the process may not have as much address space, and names map_bytes", function()
      local command = ("ulimit -v 4000000; exec %s serve --listen 127.0.0.1:0 --data %s --map-bytes 8000000000")
        :format(shell.command, data)
      local status, _, err = shell.run(command)
      assert.equal(1, status)
      assert.is_truthy(err:find("data: map_bytes is 8000000000, more address space than this process may have (see "
        .. "ulimit -v)", 1, true), err)
      assert.is_nil(lfs.attributes(data))
    end)

    it("into the folder of another server", function()
      busy = assert(launcher.start { data = data, listen = "127.0.0.1:0", password = "given" })
      local nothing, err = launcher.start { data = data, listen = "127.0.0.1:0" }
      assert.is_nil(nothing)
      assert.is_truthy(err:find("in use by another server", 1, true), err)
      assert.is_nil(lfs.attributes(data .. "/password"))
    end)

    it("C8: if the certificate cannot be used", function()
      busy = nil
      local path = folder.name()
      for text, found in pairs { [""] = "^tls_cert: " .. path:gsub("%p", "%%%0") .. ": empty$",
        ["no certificate"] = "^tls_cert: .*certificate" } do
        folder.write(path, text)
        local nothing, err = launcher.start { data = data, listen = "127.0.0.1:0", tls_cert = path, tls_key = path }
        assert.is_nil(nothing)
        assert.is_truthy(err:find(found), err)
        assert.is_nil(lfs.attributes(data))
      end
      os.remove(path)
    end)
  end)

  describe("with brokers", function()
    it("creates no folder if a password is given", function()
      try { data = data, password = "mine" }
      assert.is_nil(lfs.attributes(data))
    end)

    it("starts while no broker answers, without a folder", function()
      launched = assert(launcher.start { brokers = "127.0.0.1:1", password = "mine", listen = "127.0.0.1:0" })
      assert.is_nil(launched.data)
      assert.equal(401, topics("kafka", "wrong"))
      assert.equal(503, topics("kafka", "mine"))
    end)

    it("creates the folder for a generated password, once the server has started", function()
      try { data = data }
      assert.is_nil(lfs.attributes(data))
      launched = assert(launcher.start { brokers = "127.0.0.1:1", data = data, listen = "127.0.0.1:0" })
      assert.equal(launched.password .. "\n", folder.read(data .. "/password"))
    end)

    it("needs no location for a folder if a password is given", function()
      local script = [[
        local launcher = require "upstash.kafka.launcher"
        local options = { brokers = "127.0.0.1:1", threads = 1000 }
        print((select(2, launcher.start(options))))
        options.password = "mine"
        print((select(2, launcher.start(options))))
      ]]
      local _, out = shell.run("env -u XDG_DATA_HOME -u HOME " .. shell.lua .. " -", { input = script })
      local without, with = out:match "^([^\n]*)\n([^\n]*)\n$"
      assert.equal("no folder for the messages: HOME is not set", without)
      assert.is_truthy(with:find("threads: ", 1, true), with)
    end)
  end)

  describe("step by step, with a fake server,", function()
    local NAME, SERVER = "upstash.kafka.launcher", "upstash.kafka.server"
    local steps, given, secrets, made, getenv

    before_each(function()
      steps, given, secrets, made, getenv = {}, nil, {}, true, os.getenv
    end)

    -- Calls `body` with a launcher whose server records the calls.
    local function with(body)
      local saved = { [NAME] = package.loaded[NAME], [SERVER] = package.loaded[SERVER] }
      package.loaded[NAME] = nil
      package.loaded[SERVER] = {
        random_bytes = function(count)
          steps[#steps + 1] = "random " .. count
          return "\0\25\26\51\52\61\62\63\64\255" .. ("\0"):rep(count - 10)
        end,
        read_secret = function(path)
          local text = folder.read(path)
          return text and text:match "^[^\n]*" or nil
        end,
        write_secret = function(path, text)
          steps[#steps + 1] = "secret " .. path
          secrets[path] = text
          if made ~= true then return nil, made end
          folder.write(path, text)
          return true
        end,
        make_directory = function(path)
          steps[#steps + 1] = "folder " .. path
          if path == "/refused" then return nil, "no such place" end
          return true
        end,
        start = function(options)
          steps[#steps + 1] = "start"
          given = options
          if options.listen == "nowhere" then return nil, "no address", { code = "bad_request" } end
          return {
            url = function() return "http://here" end,
            stop = function() steps[#steps + 1] = "stop" end,
          }
        end,
      }
      local fine, problem = pcall(function() body(require(NAME)) end)
      rawset(os, "getenv", getenv)
      for name, module in pairs(saved) do package.loaded[name] = module end
      assert.is_true(fine, problem)
    end

    it("starts the server, then creates the folder and the password", function()
      assert(os.execute("mkdir '" .. data .. "'"))
      with(function(own)
        local result = assert(own.start { data = data, threads = 5 })
        local password = "AZaz09-_A_" .. ("A"):rep(22)
        assert.same({ "random 32", "start", "folder " .. data, "secret " .. data .. "/password" }, steps)
        assert.equal(password .. "\n", secrets[data .. "/password"])
        assert.same({ data = data, threads = 5, username = "kafka", password = password }, given)
        assert.same({ "http://here", "kafka", password, data },
          { result.url, result.username, result.password, result.data })
      end)
    end)

    it("stops the server if the password cannot be stored, and says why", function()
      assert(os.execute("mkdir '" .. data .. "'"))
      made = "the disk is full"
      with(function(own)
        assert.same({ nil, "the disk is full" }, { own.start { data = data } })
        assert.same({ "random 32", "start", "folder " .. data, "secret " .. data .. "/password", "stop" }, steps)
        steps = {}
        assert.same({ nil, "no such place" }, { own.start { data = "/refused" } })
        assert.same({ "random 32", "start", "folder /refused", "stop" }, steps)
      end)
    end)

    it("uses the password of a process that was faster", function()
      assert(os.execute("mkdir '" .. data .. "'"))
      with(function(own)
        local server = package.loaded[SERVER]
        server.write_secret = function(path)
          folder.write(path, "of-another-process\n")
          return nil, "File exists"
        end
        local result = assert(own.start { data = data, brokers = "b" })
        assert.equal("of-another-process", result.password)
        assert.equal("of-another-process", given.password)
        assert.same({ "random 32", "start", "folder " .. data, "stop", "start" }, steps)
      end)
    end)

    it("accepts a stored password of 16 bytes, and none shorter", function()
      assert(os.execute("mkdir '" .. data .. "'"))
      for length, fine in pairs { [15] = false, [16] = true, [0] = false } do
        folder.write(data .. "/password", ("p"):rep(length) .. "\nmore\n")
        with(function(own)
          local password, problem = own.kept_password(data)
          assert.equal(fine and ("p"):rep(length) or nil, password)
          assert.equal(not fine, problem ~= nil
            and problem:find(("holds a password of %d bytes"):format(length), 1, true) ~= nil)
        end)
      end
    end)

    it("creates no folder for a given password, and none if the server does not start", function()
      with(function(own)
        assert(own.start { brokers = "b", password = "p" })
        assert.same({ "start" }, steps)
        assert.same({ brokers = "b", password = "p", username = "kafka" }, given)
        steps = {}
        assert.same({ nil, "no address", { code = "bad_request" } },
          { own.start { data = "/fine", username = "u", listen = "nowhere" } })
        assert.same({ "random 32", "start" }, steps)
        assert.equal("u", given.username)
      end)
    end)

    it("derives the folder from the environment", function()
      for _, row in ipairs { { "/x", "/h", "/x/upstash-kafka" }, { "x", "/h", "/h/.local/share/upstash-kafka" },
        { "", "/h", "/h/.local/share/upstash-kafka" }, { nil, "/h", "/h/.local/share/upstash-kafka" }, { nil, "" },
        { "x", nil } } do
        with(function(own)
          rawset(os, "getenv", function(name) return ({ XDG_DATA_HOME = row[1], HOME = row[2] })[name] end)
          local found, problem = own.default_data()
          assert.equal(row[3], found)
          assert.equal(row[3] == nil and "no folder for the messages: HOME is not set" or nil, problem)
        end)
      end
    end)
  end)

  it("blames the caller's line for misuse", function()
    local fine, message = pcall(function() launcher.start { data = data, nonsense = 1 } end)
    assert.is_false(fine)
    assert.is_truthy(message:find("launcher_spec.lua:%d+: .*nonsense"), message)
  end)
end)
