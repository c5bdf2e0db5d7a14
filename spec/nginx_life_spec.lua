-- Producers in a real nginx: created before the fork or for each request, closed twice or never,
-- used from every phase at once, with a full queue, in a worker that is killed.

local folder = require "spec.support.folder"
local free_port = require "spec.support.free_port"
local http = require "spec.support.http"
local server_support = require "spec.support.server"
local shell = require "spec.support.shell"
local support = require "spec.support.nginx"

if not support.runs_here then return pending(support.NEEDS) end

local ENVIRONMENT = "env UPSTASH_KAFKA_REST_URL; env UPSTASH_KAFKA_REST_USERNAME; env UPSTASH_KAFKA_REST_PASSWORD;"

-- Sends one message for each request and answers with the process number. The worker stays busy
-- long enough for another one to take the next request.
local SEND = [[
  location = /send { content_by_lua_block {
    require("upstash.kafka.core").sleep(20)
    assert(producer:send(nil, "worker"))
    ngx.print(ngx.worker.pid(), " ", producer:stats().sent)
  } }
]]

describe("in nginx, a producer", function()
  local server, client, nginx, topic

  setup(function()
    server = server_support.start()
    client = server:client()
  end)

  teardown(function()
    client:close()
    server:stop()
  end)

  before_each(function() topic = server:topic(1, 0) end)

  after_each(function()
    if nginx then nginx:stop() end
    nginx = nil
  end)

  local function start(options)
    options.environment, options.main = server:environment(), ENVIRONMENT
    options.values = options.values or {}
    options.values.topic = topic
    nginx = support.start(options)
  end

  -- Returns what the topic holds, as { value = count }.
  local function stored()
    local counts, offset = {}, 0
    repeat
      local messages = assert(client:fetch(topic, 0, offset, { timeout = 0 }))
      for _, message in ipairs(messages) do
        counts[message.value] = (counts[message.value] or 0) + 1
        offset = message.offset + 1
      end
    until #messages == 0
    return counts
  end

  local function stored_in_all()
    return assert(client:offsets("latest", { topic = topic, partition = 0 }))[1].offset
  end

  local function expect_stored(count)
    shell.eventually(20, function() return stored_in_all() >= count end)
    assert.equal(count, stored_in_all())
  end

  local function threads(pid)
    local _, out = shell.run("ls /proc/" .. pid .. "/task | wc -l")
    return tonumber(out)
  end

  -- Sends until every worker has answered. Returns the number of messages.
  local function reach(workers)
    local sent, seen, count = 0, {}, 0
    shell.eventually(20, function()
      local pending = {}
      for number = 1, 4 do pending[number] = nginx:begin "/send" end
      http.collect(pending)
      for _, request in ipairs(pending) do
        local pid, its_own = request.response.body:match "^(%d+) (%d+)$"
        sent = sent + 1
        seen[pid] = math.min(seen[pid] or math.huge, tonumber(its_own))
      end
      count = 0
      for _, first in pairs(seen) do
        assert.equal(1, first) -- nothing that the master has counted
        count = count + 1
      end
      return count == workers
    end)
    return sent
  end

  local function ends_are_clean()
    for _, how in ipairs(nginx:ends()) do assert.equal("with code 0", how) end
  end

  -- AddressSanitizer's allocator, unlike the system's, does not survive a fork while another thread
  -- allocates.
  local REST = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) and "require('upstash.kafka.core').sleep(300)" or ""
  local INIT = [[
    init_by_lua_block {
      producer = require("upstash.kafka").new():producer { topic = "$topic" }
      assert(producer:send(nil, "init"))
      ]] .. REST .. [[
    }
  ]]

  describe("of init_by_lua", function()
    it("sends once in the master, and each worker has its own thread", function()
      start { workers = 2, http = INIT, locations = SEND }
      local sent = reach(2)
      expect_stored(1 + sent)
      assert.same({ init = 1, worker = sent }, stored())
      for _, pid in ipairs(nginx:workers()) do assert.equal(2, threads(pid)) end
      assert.equal(2, threads(nginx.master))
    end)

    it("leaves no thread in the master after reloads, and sends nothing twice", function()
      start { workers = 2, http = INIT, locations = SEND }
      for _ = 1, 5 do nginx:reload() end
      local sent = reach(2)
      expect_stored(6 + sent)
      assert.same({ init = 6, worker = sent }, stored())
      assert.equal(2, threads(nginx.master))
      ends_are_clean()
    end)

    -- The process that read the configuration ends; its child becomes the master.
    it("sends once if nginx becomes a daemon, too", function()
      start { workers = 2, http = INIT, locations = SEND }
      expect_stored(1)
      assert.equal(0, (nginx:finish "QUIT"))
      local path = nginx.place .. "/nginx.conf"
      folder.write(path, (folder.read(path):gsub("daemon off;", "")))
      local status, _, problem = shell.run(("/usr/sbin/nginx -e %s/error.log -p %s -c %s"):format(nginx.place,
        nginx.place, path), { environment = server:environment() })
      assert.equal(0, status, problem)
      local master = shell.eventually(10, function() return tonumber(folder.read(nginx.place .. "/pid") or "") end)
      local fine, message = pcall(function()
        shell.eventually(10, function() return pcall(nginx.get, nginx, "/alive") end)
        local sent = reach(2)
        expect_stored(2 + sent)
        assert.same({ init = 2, worker = sent }, stored())
      end)
      shell.run(("kill -QUIT %d; while kill -0 %d 2>/dev/null; do sleep 0.05; done"):format(master, master))
      assert(fine, message)
      ends_are_clean()
    end)
  end)

  describe("at the end of its worker", function()
    local LOCATIONS = [[
      location = /fill { content_by_lua_block {
        for number = 1, 1000 do assert(producer:send(nil, "worker")) end
        ngx.print "x"
      } }
      location = /close { content_by_lua_block {
        assert(producer:send(nil, "last"))
        local first, second = producer:close(60000), producer:close(60000)
        ngx.print(tostring(first), " ", tostring(second), " ", select(2, pcall(producer.send, producer, nil, "x")))
      } }
    ]]
    -- Queued messages are sent only at the end.
    local MADE = [[
      init_worker_by_lua_block {
        producer = require("upstash.kafka").new():producer { topic = "$topic", linger = 60000 }
      }
    ]]
    local CLOSED_TWICE = MADE .. [[
      exit_worker_by_lua_block {
        local first, second = producer:close(60000), producer:close(60000)
        ngx.log(ngx.NOTICE, "closed: ", tostring(first), " ", tostring(second))
      }
    ]]

    local function fill_and_quit()
      assert.equal(200, nginx:get("/fill").status)
      assert.equal(0, stored_in_all())
      assert.equal(0, (nginx:finish "QUIT"))
      assert.same({ "with code 0" }, nginx:ends())
    end

    it("delivers its queue if nobody closes it", function()
      -- A worker that ends has 2 s at most. On a busy machine that may be too short: then the log
      -- reports the loss, and another worker ends.
      for _ = 1, 5 do
        topic = server:topic(1, 0)
        start { http = MADE, locations = LOCATIONS }
        fill_and_quit()
        local delivered, discarded = stored_in_all(), nginx:log():match "messages discarded: (%d+); " or "0"
        nginx:stop()
        assert.is_true(delivered + discarded >= 1000, ("%d stored, %s discarded"):format(delivered, discarded))
        if delivered == 1000 then break end
      end
      assert.same({ worker = 1000 }, stored())
    end)

    it("is closed in exit_worker_by_lua, twice", function()
      start { http = CLOSED_TWICE, locations = LOCATIONS }
      fill_and_quit()
      assert.same({ worker = 1000 }, stored())
      assert.truthy(nginx:log():find("closed: true true", 1, true))
    end)

    it("may be closed already, even twice", function()
      start { http = CLOSED_TWICE, locations = LOCATIONS }
      assert.equal("true true producer is closed", nginx:get("/close").body)
      assert.same({ last = 1 }, stored())
      assert.equal(0, (nginx:finish "QUIT"))
      assert.truthy(nginx:log():find("closed: true true", 1, true))
      assert.same({ "with code 0" }, nginx:ends())
    end)
  end)

  -- Every request gets its own Lua state. The server starts later: until then no queue is empty,
  -- and no thread ends because it was unused for a while.
  describe("with lua_code_cache off", function()
    local LOCATIONS = [[
      location = /send { content_by_lua_block {
        local producer = require("upstash.kafka").new($access):producer { topic = "$topic", log = false }
        assert(producer:send(nil, "worker"))
        ngx.print "x"
      } }
      location = /named { content_by_lua_block {
        local producer = require("upstash.kafka").new($access):producer { topic = "$topic", name = ngx.var.arg_name,
          linger = 0, log = false }
        local sent, _, details = producer:send(nil, "worker")
        ngx.print(sent and "sent" or details.code)
      } }
    ]]
    local port, late, late_client

    before_each(function()
      port = free_port()
      local access = ("{ url = 'http://127.0.0.1:%d', username = '%s', password = '%s', %s }"):format(port,
        server.username, server.password, "retry_delay = 10, retry_delay_max = 50")
      start { http = "lua_code_cache off;", locations = LOCATIONS, values = { access = access } }
    end)

    after_each(function()
      if nginx then nginx:stop() end
      if late then
        late_client:close()
        late:stop()
      end
      late = nil
    end)

    local function start_server()
      late = server_support.start { listen = "127.0.0.1:" .. port, partitions = 1 }
      late_client = late:client()
    end

    local function expect_delivered(count)
      local place, stored_there = { topic = topic, partition = 0 }, 0
      shell.eventually(20, function()
        local offsets = late_client:offsets("latest", place)
        stored_there = offsets and offsets[1].offset or 0
        return stored_there >= count
      end)
      assert.equal(count, stored_there)
    end

    it("shares one thread among hundreds of requests and loses no message", function()
      local worker = nginx:workers()[1]
      for round = 1, 30 do
        local pending = {}
        for number = 1, 20 do pending[number] = nginx:begin "/send" end
        http.collect(pending)
        for _, request in ipairs(pending) do assert.equal("x", request.response.body) end
        assert.equal(2, threads(worker), round)
      end
      start_server()
      expect_delivered(600)
      assert.equal(worker, nginx:workers()[1])
    end)

    it("limits the number of threads, and ends unused ones", function()
      local worker, counts = nginx:workers()[1], { sent = 0, too_many = 0 }
      for number = 1, 70 do
        local body = nginx:get("/named?name=" .. number).body
        assert.is_number(counts[body], body)
        counts[body] = counts[body] + 1
      end
      assert.same({ sent = 64, too_many = 6 }, counts)
      assert.equal(65, threads(worker))
      start_server()
      shell.eventually(30, function() return threads(worker) == 1 end)
      assert.equal("sent", nginx:get("/named?name=last").body)
      expect_delivered(65)
    end)
  end)

  it("shares nothing with producers of other settings, and everything with equal ones", function()
    start {
      http = [[
        init_by_lua_block {
          local client = require("upstash.kafka").new()
          producers = {
            client:producer { topic = "$topic", linger = 60000 },
            client:producer { topic = "$topic", linger = 0, in_flight = 4 },
            client:producer { topic = "$topic", linger = 0, overflow = "drop_oldest", queue_bytes = 65536 },
            client:producer { topic = "$topic", linger = 60000, name = "another" },
            client:producer { topic = "$topic", linger = 60000 },
          }
        }
        exit_worker_by_lua_block {
          for _, producer in ipairs(producers) do producer:close(60000) end
        }
      ]],
      locations = [[
        location = /send { content_by_lua_block {
          for index, producer in ipairs(producers) do
            for _ = 1, index do assert(producer:send(nil, tostring(index))) end
          end
          for _, producer in ipairs(producers) do ngx.print(producer:stats().sent, " ") end
        } }
      ]],
    }
    assert.equal("6 2 3 4 6 ", nginx:get("/send").body)
    assert.equal(5, threads(nginx:workers()[1]))
    expect_stored(5)
    assert.same({ ["2"] = 2, ["3"] = 3 }, stored())
    assert.equal(0, (nginx:finish "QUIT"))
    assert.same({ ["1"] = 1, ["2"] = 2, ["3"] = 3, ["4"] = 4, ["5"] = 5 }, stored())
    ends_are_clean()
  end)

  it("is used from all phases at once #forks", function()
    start {
      http = [[
        init_by_lua_block {
          producer = require("upstash.kafka").new():producer { topic = "$topic", linger = 1 }
          function send(value) assert(producer:send(nil, value)) end
          send "init"
          ]] .. REST .. [[
        }
        init_worker_by_lua_block {
          send "init_worker"
          assert(ngx.timer.every(0.01, function(premature) if not premature and ticking then send "tick" end end))
        }
        exit_worker_by_lua_block {
          send "exit_worker"
          producer:close(60000)
        }
        upstream balanced {
          server 0.0.0.1;
          balancer_by_lua_block {
            send "balancer"
            require("ngx.balancer").set_current_peer("127.0.0.1", $port)
          }
        }
      ]],
      locations = [[
        location = /all {
          set_by_lua_block $unused { send "set" return "" }
          rewrite_by_lua_block { send "rewrite" }
          access_by_lua_block { send "access" }
          content_by_lua_block {
            ticking = true
            send "content"
            ngx.thread.wait(ngx.thread.spawn(function()
              ngx.sleep(0.001)
              send "thread"
            end))
            coroutine.wrap(send)("coroutine")
            assert(ngx.timer.at(0, function() send "timer" end))
            ngx.location.capture "/balanced"
            ngx.print "x"
          }
          header_filter_by_lua_block { send "header_filter" }
          body_filter_by_lua_block { if ngx.arg[2] then send "body_filter" end }
          log_by_lua_block { send "log" }
        }
        location = /balanced { proxy_pass http://balanced/alive; }
        location = /ticks { content_by_lua_block {
          ticking = false
          ngx.print(producer:stats().sent)
        } }
      ]],
      values = { unused = "$unused" },
    }
    local rounds, at_once = 20, 25
    for _ = 1, rounds do
      local pending = {}
      for number = 1, at_once do pending[number] = nginx:begin "/all" end
      http.collect(pending)
      for _, request in ipairs(pending) do assert.equal("x", request.response.body) end
    end
    nginx:get "/ticks"
    assert.equal(0, (nginx:finish "QUIT"))
    ends_are_clean()
    local counts, each = stored(), rounds * at_once
    assert.is_true(counts.tick > 0)
    counts.tick = nil
    local expected = { init = 1, init_worker = 1, exit_worker = 1 }
    for _, phase in ipairs { "set", "rewrite", "access", "content", "thread", "coroutine", "timer", "balancer",
      "header_filter", "body_filter", "log" } do
      expected[phase] = each
    end
    assert.same(expected, counts)
  end)

  it("starts again in the worker that replaces a killed one", function()
    start { http = INIT, locations = SEND }
    local killed = nginx:workers()[1]
    assert.equal(killed .. " 1", nginx:get("/send").body)
    expect_stored(2)
    nginx.client:close()
    shell.run("kill -KILL " .. killed)
    local fresh = shell.eventually(10, function()
      local worker = nginx:workers()[1]
      return worker ~= killed and worker
    end)
    assert.equal(fresh .. " 1", nginx:get("/send").body)
    assert.equal(fresh .. " 2", nginx:get("/send").body)
    expect_stored(4)
    assert.equal(2, threads(fresh))
    assert.equal(0, (nginx:finish "QUIT"))
    assert.same({ "with code 0", "on signal 9" }, nginx:ends())
    assert.same({ init = 1, worker = 3 }, stored())
  end)

  describe("with a full queue", function()
    local LOCATIONS = [[
      location = /fill { content_by_lua_block {
        local refused, code = 0, "none"
        for number = 1, 1000 do
          local sent, _, details = producer:send(nil, ("%099d"):format(number))
          if not sent then refused, code = refused + 1, details.code end
        end
        local stats = producer:stats()
        ngx.print(refused, " ", code, " ", stats.sent, " ", stats.refused, " ", stats.dropped, " ", stats.bytes)
      } }
    ]]

    -- Sends 1,000 messages to a server that starts later. Returns their outcomes, and what is
    -- stored.
    local function fill(overflow)
      local port = free_port()
      nginx = support.start {
        http = [[
          init_worker_by_lua_block {
            producer = require("upstash.kafka").new {
              url = "http://127.0.0.1:$gone", username = "$username", password = "$password", retry_delay = 10,
              retry_delay_max = 50,
            }:producer { topic = "overflow", queue_bytes = 4096, linger = 0, overflow = "$overflow", log = false }
          }
        ]],
        locations = LOCATIONS,
        values = { gone = port, overflow = overflow, username = server.username, password = server.password },
      }
      local body = nginx:get("/fill").body
      local late = server_support.start { listen = "127.0.0.1:" .. port, partitions = 1 }
      local refused, code, sent, counted, dropped, bytes = body:match "^(%d+) ([%l_]+) (%d+) (%d+) (%d+) (%d+)$"
      assert.is_string(refused, body)
      assert.is_true(tonumber(bytes) <= 4096)
      assert.equal(refused, counted)
      local values = {}
      local late_client = late:client()
      shell.eventually(20, function()
        local messages = late_client:fetch("overflow", 0, 0, { timeout = 100 })
        values = {}
        for index, message in ipairs(messages or {}) do values[index] = tonumber(message.value) end
        return #values >= sent - dropped
      end)
      late_client:close()
      late:stop()
      return { refused = tonumber(refused), code = code, sent = tonumber(sent), dropped = tonumber(dropped) }, values
    end

    it("refuses new messages or drops the oldest, and delivers the others", function()
      local counts, values = fill "error"
      assert.same({ "queue_full", 1000, 0 }, { counts.code, counts.sent + counts.refused, counts.dropped })
      assert.is_true(counts.refused > 900)
      assert.equal(counts.sent, #values)
      assert.equal(1, values[1])
      nginx:stop()
      counts, values = fill "drop_oldest"
      assert.same({ "none", 1000, 0 }, { counts.code, counts.sent, counts.refused })
      assert.is_true(counts.dropped > 900)
      assert.equal(1000 - counts.dropped, #values)
      assert.equal(1000, values[#values])
    end)
  end)
end)
