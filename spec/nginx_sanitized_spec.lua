-- 50 reloads of a real nginx whose workers send, produce and consume, with the module under
-- AddressSanitizer and LeakSanitizer: `make sanitize-nginx`, a step of `.ci/run`. Elsewhere it is
-- skipped.

local folder = require "spec.support.folder"
local http = require "spec.support.http"
local server_support = require "spec.support.server"
local shell = require "spec.support.shell"
local support = require "spec.support.nginx"

local sanitized = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true)
if not support.runs_here then return pending(support.NEEDS) end
if not sanitized then return pending "needs the module under AddressSanitizer: make sanitize-nginx" end

local ENVIRONMENT = "env UPSTASH_KAFKA_REST_URL; env UPSTASH_KAFKA_REST_USERNAME; env UPSTASH_KAFKA_REST_PASSWORD;"

-- `$more` is more code for init_by_lua. One of the producers is never closed.
local HTTP = [[
  lua_code_cache $cache;
  init_by_lua_block {
    kafka = require "upstash.kafka"
    client = kafka.new()
    producer = client:producer { topic = "$topic" }
    closed = client:producer { topic = "$topic", name = "closed", gzip = true }
    $more
  }
  init_worker_by_lua_block {
    assert(ngx.timer.at(0, function()
      for message in kafka.new():messages { group = "g", instance = "%w-%p", topic = "$topic", timeout = 100 } do
        got = message.value
      end
    end))
  }
  exit_worker_by_lua_block {
    closed:close()
    closed:close()
  }
]]

local LOCATIONS = [[
  location = /log {
    return 200 "x";
    log_by_lua_block {
      assert(producer:send(nil, "log", { key = "k", headers = { a = "b" } }))
      assert(closed:send(nil, "log"))
    }
  }
  location = /produce { content_by_lua_block {
    assert(client:produce("$topic", "produce"))
    ngx.print "x"
  } }
  location = /refused { content_by_lua_block {
    assert(producer:send(nil, "refused", { partition = 7 }))
    ngx.print "x"
    producer:failures()
  } }
  location = /leak { content_by_lua_block {
    local ffi = require "ffi"
    ffi.cdef "void *malloc(size_t)"
    ffi.C.malloc(12345)
    ngx.print "x"
  } }
]]

local REQUESTS = 12 -- of each kind between two reloads
local STORED = 3 * REQUESTS -- of their messages

-- The reports in a text about the module, and all those that are not leaks. Leaks of nginx and
-- LuaJIT at their exit do not count: a leak counts if its stack contains core.so or its source, or
-- libcurl, which only core.so uses.
local function reports(text)
  local found = {}
  for block in (text .. "\n\n"):gmatch "(.-)\n\n+" do
    local ours = block:find("/core.so", 1, true) or block:find(" csrc/", 1, true) or block:find("/libcurl", 1, true)
    if (block:find "leak of %d+ byte" and ours) or block:find("ERROR: AddressSanitizer", 1, true)
      or block:find("runtime error", 1, true) then
      found[#found + 1] = block
    end
  end
  return found
end

describe("in nginx, under sanitizers,", function()
  local server, client, topic, place, nginx

  before_each(function()
    server, place = server_support.start(), folder.make()
    client, topic = server:client(), server:topic(1, 0)
  end)

  after_each(function()
    client:close()
    server:stop()
    folder.remove(place)
  end)

  local function load_it()
    local pending = {}
    for _ = 1, REQUESTS do
      for _, path in ipairs { "/log", "/produce", "/refused" } do pending[#pending + 1] = nginx:begin(path) end
    end
    http.collect(pending, 60)
    for _, request in ipairs(pending) do assert.equal("x", request.response.body) end
  end

  -- Returns the reports of each process, by its number. A leak on purpose shows that leaks are
  -- looked for.
  local function reload(times, more, cache)
    local options = ("%s:detect_leaks=1:log_path=%s/asan"):format(os.getenv "ASAN_OPTIONS" or "", place)
    nginx = support.start {
      environment = server:environment { ASAN_OPTIONS = options, LSAN_OPTIONS = "exitcode=0" },
      main = ENVIRONMENT, http = HTTP, locations = LOCATIONS, workers = 2,
      values = { topic = topic, more = more or "", cache = cache or "on" },
    }
    for _ = 1, times do
      load_it()
      nginx:reload(60)
    end
    assert.equal("x", nginx:get("/leak").body)
    assert.equal(0, (nginx:finish("TERM", 60)))
    local ends = nginx:ends()
    nginx:stop()
    for _, how in ipairs(ends) do assert.equal("with code 0", how) end
    assert.equal(2 * (times + 1), #ends)
    local _, names = shell.run("ls " .. place)
    local found, looked = {}, false
    for number in names:gmatch "asan%.(%d+)" do
      local text = folder.read(place .. "/asan." .. number)
      looked = looked or text:find("leak of 12345 byte", 1, true)
      found[tonumber(number)] = reports(text)
    end
    assert.truthy(looked)
    return found
  end

  local function stored()
    return assert(client:offsets("latest", { topic = topic, partition = 0 }))[1].offset
  end

  it("50 reloads leak nothing and lose no message", function()
    local found = reload(50)
    for _, list in pairs(found) do assert.same({}, list) end
    assert.equal(50 * STORED, stored())
  end)

  -- A worker has a copy of the memory of the master's thread, but not the thread, so only the
  -- master can be free of leaks. The thread is idle at the fork, because ASan's allocator does not
  -- survive a fork during an allocation.
  it("reloads leak nothing in a master that sends", function()
    local found = reload(5, [[
      assert(producer:send(nil, "init"))
      repeat
        require("upstash.kafka.core").sleep(100)
      until producer:stats().queued + producer:stats().in_flight == 0
    ]])
    assert.same({}, found[nginx.master] or {})
    assert.equal(6 + 5 * STORED, stored())
  end)

  it("a Lua state per request leaks nothing", function()
    local found = reload(5, nil, "off")
    for _, list in pairs(found) do assert.same({}, list) end
    assert.equal(5 * STORED, stored())
  end)
end)
