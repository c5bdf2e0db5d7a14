-- Where the nginx transport connects to. Runs without nginx.

local address = require "upstash.kafka.nginx.address"

local function of(url, socket)
  return address.of { url = url, socket = socket }
end

describe("the address of a URL", function()
  local rows = {
    { "http://127.0.0.1:8080", false, "127.0.0.1", 8080, "127.0.0.1:8080", { "127.0.0.1" } },
    { "http://10.1.2.3/prefix", false, "10.1.2.3", 80, "10.1.2.3", { "10.1.2.3" } },
    { "HTTPS://10.1.2.3", true, "10.1.2.3", 443, "10.1.2.3", { "10.1.2.3" } },
    { "https://10.1.2.3:80", true, "10.1.2.3", 80, "10.1.2.3:80", { "10.1.2.3" } },
    { "http://10.1.2.3:1", false, "10.1.2.3", 1, "10.1.2.3:1", { "10.1.2.3" } },
    { "http://10.1.2.3:65535", false, "10.1.2.3", 65535, "10.1.2.3:65535", { "10.1.2.3" } },
    { "http://10.1.2.3:443", false, "10.1.2.3", 443, "10.1.2.3:443", { "10.1.2.3" } },
    { "http://[::1]:8080/x", false, "[::1]", 8080, "[::1]:8080", { "[::1]" } },
    { "http://[fe80::1]", false, "[fe80::1]", 80, "[fe80::1]", { "[fe80::1]" } },
    { "http://localhost:81", false, "localhost", 81, "localhost:81", { "127.0.0.1", "[::1]" } },
    { "http://LOCALHOST", false, "LOCALHOST", 80, "LOCALHOST", { "127.0.0.1", "[::1]" } },
    { "https://kafka.nowhere.example:444", true, "kafka.nowhere.example", 444, "kafka.nowhere.example:444",
      { "kafka.nowhere.example" } },
    { "http://under_score-1.example:", false, "under_score-1.example", 80, "under_score-1.example",
      { "under_score-1.example" } },
  }
  for _, row in ipairs(rows) do
    it("is read from " .. row[1], function()
      local found = assert(of(row[1]))
      assert.same({ row[2], row[3], row[4], row[5], row[6] },
        { found.tls, found.host, found.port, found.authority, found.addresses })
      assert.equal(row[3] .. ":" .. row[4], found.where)
    end)
  end

  for _, url in ipairs { "http://[::1", "http://a b", "http://host:0", "http://host:65536", "http://host:99999999",
    "http://host:8a", "http://ho%st", "http://[::1]x", "http://a:b:c" } do
    it("is missing in " .. url, function()
      local found, message = of(url)
      assert.is_nil(found)
      assert.equal("the URL is malformed: " .. url, message)
    end)
  end

  it("is a unix socket if the URL names one", function()
    local found = of("http://localhost/api", "/run/kafka.sock")
    assert.is_false(found.tls)
    assert.same({ "unix:/run/kafka.sock" }, found.addresses)
    assert.is_nil(found.port)
    assert.equal("localhost", found.authority)
    assert.equal("/run/kafka.sock", found.where)
  end)
end)

describe("a hosts file", function()
  it("gives the addresses of names, in order", function()
    assert.same({
      localhost = { "127.0.0.1", "[::1]" }, ["kafka.example"] = { "10.0.0.1", "10.0.0.2" }, kafka = { "10.0.0.1" },
      ["ip6-loopback"] = { "[::1]" },
    }, address.read_hosts(table.concat({
      "127.0.0.1 localhost", "# 9.9.9.9 nobody", "", "::1\tLocalhost ip6-loopback # a comment",
      "  10.0.0.1   kafka.example kafka\r", "10.0.0.2 kafka.example", "not-an-address x", "1.2.3.4",
    }, "\n")))
  end)

  it("matches names in any letter case", function()
    local NAME, path, open = "upstash.kafka.nginx.address", os.tmpname(), io.open
    local file = assert(open(path, "w"))
    file:write "10.0.0.7 Kafka.example\n"
    file:close()
    finally(function()
      rawset(io, "open", open)
      package.loaded[NAME] = address
      os.remove(path)
    end)
    local read = 0
    rawset(io, "open", function(name, mode)
      if name == "/etc/hosts" then read = read + 1 end
      return open(name == "/etc/hosts" and path or name, mode)
    end)
    package.loaded[NAME] = nil
    local fresh = require(NAME)
    for _, host in ipairs { "kafka.example", "KAFKA.Example" } do
      assert.same({ "10.0.0.7" }, assert(fresh.of { url = "http://" .. host }).addresses)
    end
    assert.equal(1, read) -- once for all calls
  end)

  it("is read up to 256 KiB, and closed", function()
    local NAME, open = "upstash.kafka.nginx.address", io.open
    finally(function()
      rawset(io, "open", open)
      package.loaded[NAME] = address
    end)
    local asked, closed = nil, 0
    rawset(io, "open", function(name, mode)
      if name ~= "/etc/hosts" then return open(name, mode) end
      return {
        read = function(_, bytes)
          asked = bytes
          return "10.0.0.8 kafka.example"
        end,
        close = function() closed = closed + 1 end,
      }
    end)
    package.loaded[NAME] = nil
    assert.same({ "10.0.0.8" }, assert(require(NAME).of { url = "http://kafka.example" }).addresses)
    assert.same({ 262144, 1 }, { asked, closed })
  end)

  it("may be missing", function()
    local NAME, open = "upstash.kafka.nginx.address", io.open
    finally(function()
      rawset(io, "open", open)
      package.loaded[NAME] = address
    end)
    rawset(io, "open", function(name, mode) return name ~= "/etc/hosts" and open(name, mode) or nil end)
    package.loaded[NAME] = nil
    assert.same({ "kafka.example" }, assert(require(NAME).of { url = "http://kafka.example" }).addresses)
  end)

  it("may be empty", function()
    assert.same({}, address.read_hosts "")
  end)
end)
