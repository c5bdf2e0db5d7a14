-- for: log_store_identity.c, log_writer.c, log_engine.c. What a server says over HTTP when its data
-- folder goes away, and when it does not find there what it left.

local folder = require "spec.support.folder"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

describe("the data folder", function()
  local server, client

  local function start(data)
    server = support.start { data = data }
    client = server:client { retries = 0 }
  end

  local function health() return (select(2, client:health())) end

  before_each(function() start() end)

  after_each(function() server:stop() end)

  it("A13: a data folder that is renamed answers 503 and says why, until it is back", function()
    assert.equal(0, assert(client:produce("t", "kept")).offset)
    local away = server.data .. "-away"
    assert(os.rename(server.data, away))
    local text = "the log failed: the data folder " .. server.data .. " was renamed or deleted"
    shell.eventually(20, function() return health() == text end)
    for name, call in pairs {
      produce = function() return client:produce("t", "lost") end,
      fetch = function() return client:fetch { topic = "t", partition = 0, offset = 0 } end,
      create = function() return client:create_topic "u" end,
      consume = function() return client:consume("g", "i", "t", { timeout = 0, auto_offset_reset = "earliest" }) end,
    } do
      local result, message, details = call()
      assert.is_nil(result, name)
      assert.equal(503, details.status, name)
      assert.truthy(message:find(text, 1, true), name .. ": " .. message)
    end
    assert(os.rename(away, server.data))
    shell.eventually(20, function() return client:health() ~= nil end)
    assert.equal(1, assert(client:produce("t", "on")).offset)
  end)

  it("A7: a log that held something does not start empty", function()
    assert(client:produce("t", "kept"))
    server.handle:stop()
    folder.write(server.data .. "/data.mdb", "")
    local started, message = pcall(support.start, { data = server.data })
    assert.is_false(started)
    assert.truthy(tostring(message):find("is damaged: it held topics, and data.mdb is empty", 1, true), message)
  end)
end)
