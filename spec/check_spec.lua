--- `upstash-kafka check` and server.check: damage in a data folder. For: server_check.c, check.lua.

local folder = require "spec.support.folder"
local server = require "upstash.kafka.server"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

describe("check", function()
  local data, new

  -- A folder with one message of 3 x's in topic "t".
  before_each(function()
    new = folder.name()
    local running = support.start()
    data = running.data
    local client = running:client()
    assert(client:produce("t", "xxx"))
    client:close()
    running.handle:stop()
  end)
  after_each(function()
    folder.remove(data)
    folder.remove(new)
  end)

  local function damage(wrong)
    local bytes = folder.read(data .. "/data.mdb")
    local first, last = bytes:find("xxx", 1, true)
    folder.write(data .. "/data.mdb", bytes:sub(1, first - 1) .. wrong .. bytes:sub(last + 1))
  end

  local LINE = 'batches: topic "t" partition 0 from offset 0 on: the checksum or the header of the batch is wrong'

  it("says nothing but the counts of a whole folder", function()
    local status, out, err = shell.upstash_kafka { "check", data }
    assert.same({ 0, "" }, { status, err })
    assert.matches("^whole: 1 topics, 1 batches, 1 messages, 0 committed offsets, [%d,]+ bytes\n$", out)
  end)

  it("prints damage, and fails", function()
    damage "yyy"
    local status, out, err = shell.upstash_kafka { "check", data }
    assert.same({ 1, ("upstash-kafka: check: %s is damaged in 1 place\n"):format(data) }, { status, err })
    assert.equal(1, out:find("damaged: " .. LINE .. "\nwhole: 1 topics, 0 batches", 1, true))
  end)

  it("prints its lines before the last one, also into one file", function()
    damage "yyy"
    local status, out = shell.run(shell.command .. " " .. shell.words { "check", data } .. " 2>&1")
    assert.equal(1, status)
    assert.matches("^damaged: .-\nwhole: .-\nupstash%-kafka: check: .- is damaged in 1 place\n$", out)
  end)

  it("copies what is whole, at the same offsets", function()
    local status, out = shell.upstash_kafka { "check", data, "--salvage", new }
    assert.equal(0, status)
    assert.matches("copied to " .. new:gsub("%p", "%%%0"), out)
    local running = support.start { data = new }
    local client = running:client()
    assert.equal("xxx", client:fetch("t", 0, 0)[1].value)
    assert.equal(1, client:produce("t", "next").offset)
    client:close()
    running.handle:stop()
  end)

  it("fails on a folder that is in use, and on what is no folder", function()
    local running = support.start { data = data }
    local status, out, err = shell.upstash_kafka { "check", data }
    assert.same({ 1, "" }, { status, out })
    assert.matches("^upstash%-kafka: check: the directory %S+ is in use by a server %(process %d+%); stop it first\n$",
      err)
    running.handle:stop()
    status, out, err = shell.upstash_kafka { "check", "/nonsense" }
    assert.same({ 1, "", "upstash-kafka: check: cannot open /nonsense: No such file or directory\n" },
      { status, out, err })
    assert.equal(2, (shell.upstash_kafka { "check" }))
  end)

  describe("server.check", function()
    it("reports lines and progress, and returns counts", function()
      damage "yyy"
      local lines, pages, all = {}, nil, nil
      local counts = assert(server.check { data = data, report = function(kind, first, second)
        if kind == "progress" then pages, all = first, second else lines[#lines + 1] = kind .. " " .. first end
      end })
      assert.same({ "damaged " .. LINE }, lines)
      assert.is_true(pages > 2 and pages < all)
      local bytes = counts.bytes
      assert.is_true(bytes >= 8192)
      assert.same({ topics = 1, batches = 0, records = 0, committed = 0, damaged = 1, bytes = bytes }, counts)
      assert.equal(1, server.check { data = data }.damaged)
    end)

    it("reports notes apart from damage", function()
      local other, lines = support.start(), {}
      other.handle:stop()
      folder.write(data .. "/identity", folder.read(other.data .. "/identity"))
      folder.remove(other.data)
      local counts = assert(server.check { data = data, report = function(kind, line)
        if kind ~= "progress" then lines[#lines + 1] = kind .. " " .. line end
      end })
      assert.same({ "note data.mdb is of another log than the file identity: a restored copy" }, lines)
      assert.same({ 0, 1, 1 }, { counts.damaged, counts.topics, counts.records })
    end)

    it("raises what the report raises, and calls it no more", function()
      damage "yyy"
      local calls = 0
      local fine, err = pcall(server.check, { data = data, report = function()
        calls = calls + 1
        error("stop", 0)
      end })
      assert.same({ false, "stop", 1 }, { fine, err, calls })
    end)

    it("returns nil and a message, and refuses wrong options", function()
      local counts, message, details = server.check { data = "/nonsense" }
      assert.same({ nil, "cannot open /nonsense: No such file or directory" }, { counts, message })
      assert.equal("unavailable", details.code)
      assert.has_error(function() server.check {} end, "bad argument #1 to 'check' (data: required, but absent)")
      assert.has_error(function() server.check { data = data, report = 1 } end)
      assert.has_error(function() server.check { data = data, other = 1 } end)
    end)
  end)
end)
