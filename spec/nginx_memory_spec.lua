-- The memory of a worker that sends: flat over millions of messages, delivered or not, and every
-- message is accounted for.

local folder = require "spec.support.folder"
local free_port = require "spec.support.free_port"
local http = require "spec.support.http"
local server_support = require "spec.support.server"
local shell = require "spec.support.shell"
local support = require "spec.support.nginx"

-- AddressSanitizer keeps freed memory and grows.
local sanitized = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true)
if not support.runs_here then return pending(support.NEEDS) end
if sanitized then return pending "needs the module without AddressSanitizer, which keeps what is freed" end

local MIB = 1024 * 1024
local QUEUE = 4 * MIB
local BATCH = 256 * 1024
local WARM = 100000
local MILLIONS = 2000000
local HOUR = 3600 * 500 -- messages of an hour, at 500 in a second
local RETRIES = 360 -- of an hour, 10 s apart

-- What the worker may use beyond its memory before the first message: the queue, two batches as
-- records and as JSON, and what libcurl, LuaJIT's garbage and malloc take besides.
local ALLOWANCE = 8 * MIB
local BOUND = QUEUE + 2 * 5 * BATCH + ALLOWANCE
-- And once it is warm: less than three bytes for each message.
local FLAT = 4 * MIB

local HTTP = [[
  init_by_lua_block {
    local client = require("upstash.kafka").new {
      url = "$server", username = "$username", password = "$password", retry_delay = 1, retry_delay_max = 2,
    }
    local function producer(name, overflow, message_timeout)
      return client:producer { topic = name, name = name, overflow = overflow, queue_bytes = $queue, batch_bytes = $batch,
        message_timeout = message_timeout, log = false }
    end
    producers = {
      all = producer("all", "error"), refuses = producer("refuses", "error"), drops = producer("drops", "drop_oldest"),
      expires = producer("expires", "error", 20),
    }
  }
]]

-- /run sends `count` messages of 100 bytes through the producer `name`, a thousand in a turn of the
-- event loop. What finds no room it sends again, unless `once` is set.
local LOCATIONS = [[
  location = /run { content_by_lua_block {
    local producer, value = producers[ngx.var.arg_name], ("x"):rep(100)
    local left, once = tonumber(ngx.var.arg_count), ngx.var.arg_once
    while left > 0 do
      for _ = 1, math.min(left, 1000) do
        if not producer:send(nil, value) and not once then break end
        left = left - 1
      end
      ngx.sleep(0.0001)
    end
    ngx.print "done"
  } }
  location = /stats { content_by_lua_block {
    ngx.print(require("cjson").encode(producers[ngx.var.arg_name]:stats()))
  } }
]]

describe("in nginx, the memory of a worker", function()
  local nginx

  after_each(function() nginx:stop() end)

  local function start(url, server)
    nginx = support.start {
      http = HTTP, locations = LOCATIONS,
      values = { server = url, username = server.username, password = server.password, queue = QUEUE, batch = BATCH },
    }
  end

  local function resident()
    return folder.read("/proc/" .. nginx:workers()[1] .. "/status"):match "VmRSS:%s+(%d+) kB" * 1024
  end

  local function stats(name)
    return require("cjson").decode(nginx:get("/stats?name=" .. name).body)
  end

  -- Returns the most memory that the worker used.
  local function run(name, count, once)
    local pending = nginx:begin(("/run?name=%s&count=%d%s"):format(name, count, once and "&once=1" or ""))
    local most = 0
    shell.eventually(120, function()
      most = math.max(most, resident())
      return pcall(http.collect, { pending }, 0.02)
    end)
    assert.equal("done", pending.response.body)
    return math.max(most, resident())
  end

  local function settled(name)
    return shell.eventually(60, function()
      local now = stats(name)
      return now.queued + now.in_flight == 0 and now
    end)
  end

  local function stays(before, warm, most)
    assert.is_true(most - before < BOUND, ("%d more than at the start"):format(most - before))
    assert.is_true(most - warm < FLAT, ("%d more than when it was warm"):format(most - warm))
  end

  it("stays flat over two million delivered messages", function()
    local server = server_support.start { no_sync = true, partitions = 1 }
    start(server.url, server)
    local before = resident()
    local warm = run("all", WARM)
    stays(before, warm, run("all", MILLIONS))
    local counts = settled "all"
    assert.same({ WARM + MILLIONS, WARM + MILLIONS }, { counts.sent, counts.delivered })
    local client = server:client()
    assert.equal(WARM + MILLIONS, client:offsets("latest", { topic = "all", partition = 0 })[1].offset)
    client:close()
    server:stop()
  end)

  -- A server that is down for an hour, measured in messages of the worker, and then comes back.
  for name, how in pairs { refuses = "refuses", drops = "drops the oldest of", expires = "gives up after a while" } do
    it("stays flat over an hour's messages that it " .. how .. ", and all are counted", function()
      local port = free_port()
      start("http://127.0.0.1:" .. port, { username = "tester", password = "secret" })
      local before = resident()
      local warm = run(name, WARM, true)
      local tried, most, counts = WARM + HOUR, run(name, HOUR, true), nil
      -- More messages, so that there is something to retry.
      shell.eventually(240, function()
        most, tried, counts = math.max(most, run(name, 100, true)), tried + 100, stats(name)
        return counts.retried >= RETRIES
      end)
      stays(before, warm, most)
      assert.equal(tried, counts.sent + counts.refused)
      assert.equal(0, counts.delivered)
      local late = server_support.start { listen = "127.0.0.1:" .. port, username = "tester", password = "secret",
        partitions = 1 }
      -- Messages that expire within milliseconds are not all delivered.
      shell.eventually(60, function()
        run(name, 1000)
        counts = settled(name)
        return counts.delivered >= 1000
      end)
      assert.equal(counts.sent, counts.delivered + counts.dropped + counts.failed)
      assert.equal(name == "drops", counts.dropped > 0)
      assert.equal(name == "expires", counts.failed > 0)
      assert.equal(name ~= "drops", counts.refused > 0)
      local client = late:client()
      local stored = client:offsets("latest", { topic = name, partition = 0 })[1].offset
      -- A message may expire while it is sent.
      assert.is_true(stored == counts.delivered or name == "expires" and stored > counts.delivered)
      client:close()
      late:stop()
    end)
  end
end)
