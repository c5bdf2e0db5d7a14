-- The types for the language server describe everything that a program can call, and nothing else.

local core = require "upstash.kafka.core"
local folder = require "spec.support.folder"
local kafka = require "upstash.kafka"
local server = require "upstash.kafka.server"

-- Returns a file of upstash/kafka/types, in a checkout or where the rocks are installed.
local function types_in(file)
  for template in package.path:gmatch "[^;]+" do
    local text = folder.read((template:gsub("%?", "upstash/kafka/types/" .. file)))
    if text then return text end
  end
  error("no types of " .. file)
end

-- Returns the names that a pattern captures in such a file, sorted.
local function described(file, pattern)
  local names = {}
  for name in types_in(file):gmatch(pattern) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function functions_of(map)
  local names = {}
  for name, value in pairs(map) do
    if type(value) == "function" and name:sub(1, 2) ~= "__" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

describe("types", function()
  it("describe every method and function", function()
    assert.same(functions_of(core.methods), described("client", "\nfunction Client:([%w_]+)"))
    assert.same(functions_of(core.producer_methods), described("client", "\nfunction Producer:([%w_]+)"))
    assert.same(functions_of(core.message_methods), described("client", "\nfunction Message:([%w_]+)"))
    assert.same(functions_of(core), described("core", "\nfunction core.([%w_]+)"))
    assert.same(functions_of(server), described("server", "\nfunction server.([%w_]+)"))
    local data = folder.name()
    local handle = assert(server.start { listen = "127.0.0.1:0", username = "u", password = "p", data = data })
    for _, name in ipairs(described("server", "\nfunction Handle:([%w_]+)")) do
      assert.equal("function", type(handle[name]), name)
    end
    handle:stop()
    folder.remove(data)
  end)

  it("describe every function of the module", function()
    local own = functions_of(kafka)
    local listed = described("client", "\n%-%-%-@field ([%w_]+) fun%(")
    listed[#listed + 1], listed[#listed + 2] = "new", "close"
    table.sort(listed)
    assert.same(own, listed)
  end)

  it("describe every field of core and of the settings", function()
    local fields = {}
    for name, value in pairs(core) do
      if type(value) ~= "function" then fields[#fields + 1] = name end
    end
    table.sort(fields)
    assert.same(fields, described("core", "\n%-%-%-@field ([%w_]+) "))
    local client = kafka.new { url = "http://127.0.0.1:1", ca_file = "/none" }
    local text = types_in("client"):match "@class upstash.kafka.Settings\n(.-)\n\n"
    for name in pairs(client:settings()) do assert.truthy(text:find("@field " .. name .. " ", 1, true), name) end
    local request = client:prepare("produce_many", "t", { { value = "v" } })
    text = types_in("client"):match "@class upstash.kafka.Request\n(.-)\n\n"
    for name in pairs(request) do assert.truthy(text:find("@field " .. name .. " ", 1, true), name) end
    text = types_in("server"):match "@class upstash.kafka.ServerOptions\n(.-)\n\n"
    for name in pairs(server.defaults) do assert.truthy(text:find("@field " .. name .. " ", 1, true), name) end
  end)
end)
