-- The background producer in a real nginx: it sends from every phase, and loses nothing at reload
-- and at the end.

local cjson = require "cjson"
local folder = require "spec.support.folder"
local free_port = require "spec.support.free_port"
local http = require "spec.support.http"
local kafka = require "upstash.kafka"
local server_support = require "spec.support.server"
local shell = require "spec.support.shell"
local support = require "spec.support.nginx"

if not support.runs_here then return pending(support.NEEDS) end

local ENVIRONMENT = "env UPSTASH_KAFKA_REST_URL; env UPSTASH_KAFKA_REST_USERNAME; env UPSTASH_KAFKA_REST_PASSWORD;"

-- Returns the number of messages in a topic.
local function stored(client, topic)
  local partitions, total = {}, 0
  for partition = 0, (client:topics()[topic] or 0) - 1 do
    partitions[#partitions + 1] = { topic = topic, partition = partition }
  end
  if #partitions == 0 then return 0 end
  for _, entry in ipairs(assert(client:offsets("latest", partitions))) do total = total + entry.offset end
  return total
end

-- Returns the number of distinct values in a topic.
local function distinct(client, topic)
  local seen, total = {}, 0
  for partition = 0, client:topics()[topic] - 1 do
    for message in client:records { topic = topic, partition = partition, to = "latest" } do
      if not seen[message.value] then total = total + 1 end
      seen[message.value] = true
    end
  end
  return total
end

local function clean_ends(nginx)
  for _, how in ipairs(nginx:ends()) do
    if how ~= "with code 0" then return false, how .. "\n" .. nginx:log() end
  end
  return true
end

describe("in nginx, a producer", function()
  teardown(support.stop_all)

  local server, client

  setup(function()
    server = server_support.start()
    client = server:client()
  end)

  teardown(function() server:stop() end)

  local function start(options)
    options.environment = options.environment or server:environment()
    options.main = ENVIRONMENT
    return support.start(options)
  end

  -- #forks: the master has a thread when it forks.
  it("sends from every phase #forks", function()
    local topic = server_support.name "phases"
    local nginx = start {
      values = { topic = topic, unused = "$unused" },
      http = [[
        init_by_lua_block {
          producer = require("upstash.kafka").new():producer { topic = "$topic" }
          assert(producer:send(nil, "init"))
        }
        init_worker_by_lua_block {
          assert(producer:send(nil, "init_worker"))
          ngx.timer.at(0, function() assert(producer:send(nil, "timer")) end)
        }
        exit_worker_by_lua_block { assert(producer:send(nil, "exit_worker")) }
        upstream balanced {
          server 0.0.0.1;
          balancer_by_lua_block {
            assert(producer:send(nil, "balancer"))
            require("ngx.balancer").set_current_peer("127.0.0.1", $port)
          }
        }
      ]],
      locations = [[
        location = /all {
          set_by_lua_block $unused { assert(producer:send(nil, "set")) return "" }
          rewrite_by_lua_block { assert(producer:send(nil, "rewrite", { key = "k", headers = { a = "b" } })) }
          access_by_lua_block { assert(producer:send(nil, "access")) }
          content_by_lua_block { assert(producer:send(nil, "content")) ngx.print "x" }
          header_filter_by_lua_block { assert(producer:send(nil, "header_filter")) }
          body_filter_by_lua_block { if ngx.arg[2] then assert(producer:send(nil, "body_filter")) end }
          log_by_lua_block { assert(producer:send(nil, "log")) }
        }
        location = /balanced { proxy_pass http://balanced/alive; }
      ]],
    }
    assert.equal(200, nginx:get("/all").status)
    assert.equal(200, nginx:get("/balanced").status)
    local status = nginx:finish "QUIT"
    assert.equal(0, status)
    local values = {}
    for message in client:records { topic = topic, partition = 0, from = "earliest", to = "latest" } do
      values[#values + 1] = message.value
    end
    table.sort(values)
    assert.same({ "access", "balancer", "body_filter", "content", "exit_worker", "header_filter", "init", "init_worker",
      "log", "rewrite", "set", "timer" }, values)
    assert.is_true(clean_ends(nginx))
    assert.is_nil(nginx:log():find("[error]", 1, true), nginx:log())
    nginx:stop()
  end)

  it("flushes and closes without delaying other requests, and says where it cannot", function()
    -- Accepts connections and says nothing.
    local silent = assert(require("socket").bind("127.0.0.1", 0))
    local nginx = start {
      values = { topic = server_support.name "flush", silent = "http://127.0.0.1:" .. select(2, silent:getsockname()) },
      http = [[init_by_lua_block {
        kafka = require "upstash.kafka"
        producer = kafka.new():producer { topic = "$topic", linger = 60000 }
        hung = kafka.new { url = "$silent", timeout = 30000 }:producer { topic = "$topic", queue_bytes = 4096 }
        brief = kafka.new { url = "$silent", timeout = 31 }:producer { topic = "$topic", flush_timeout = 32 }
        function say(...)
          local list = { ... }
          for index = 1, select("#", ...) do list[index] = tostring((select(index, ...))) end
          ngx.print(table.concat(list, " "))
        end
      }]],
      locations = [[
        location = /send { content_by_lua_block { say(producer:send(nil, "v")) } }
        location = /flush { content_by_lua_block { say(producer:flush(10000)) say(producer:stats().delivered) } }
        location = /hung { content_by_lua_block { say(hung:send(nil, "v")) say(" ", hung:flush(1500)) } }
        location = /full { content_by_lua_block {
          local accepted, result, details, _ = -1
          repeat
            accepted, result, _, details = accepted + 1, hung:send(nil, ("x"):rep(500))
          until not result
          say(details.code, accepted)
        } }
        location = /close { content_by_lua_block { say(hung:close(1500)) say(" ", hung:close()) } }
        location = /brief { content_by_lua_block {
          brief:send(nil, "v") say(brief:flush()) say(",", brief:close())
        } }
        location = /logging {
          return 200 "x";
          log_by_lua_block { said = { select(2, pcall(producer.flush, producer)), select(2, pcall(producer.close,
            producer)) } }
        }
        location = /said { content_by_lua_block { say(said[1], said[2]) } }
        location = /misuse { content_by_lua_block {
          local client = kafka.new()
          say(select(2, pcall(client.producer, client, { overflow = "block" })))
          ngx.print("\n") say(select(2, pcall(client.producer, client, { overflaw = "block" })))
          ngx.print("\n") say(select(2, pcall(producer.flush, producer, "1")))
          ngx.print("\n") say(select(2, pcall(hung.flush, hung)))
        } }
      ]],
    }
    assert.equal("true", nginx:get("/send").body)
    assert.equal("true1", nginx:get("/flush").body)
    -- /hung sends one; how many /full adds depends on when the sender takes some out of the queue.
    local sent = 1
    for _, row in ipairs {
      { "/hung", "^true +nil %d messages? w[aser]+ not delivered within 1500 ms" },
      { "/close", "^nil %d messages? w[aser]+ not delivered within 1500 ms.* true$" },
    } do
      local path = row[1]
      if path == "/close" then sent = sent + assert(tonumber(nginx:get("/full").body:match "^queue_full (%d+)$")) end
      local text = row[2]:format(sent)
      local waiting, answered = { nginx:begin(path) }, 0
      repeat
        assert.equal(200, nginx:get("/alive").status)
        answered = answered + 1
        local over = pcall(http.collect, waiting, 0.005)
      until over
      assert.is_true(answered > 2, answered) -- a worker that is blocked answers one, or two
      assert.truthy(waiting[1].response.body:find(text), waiting[1].response.body)
    end
    local undelivered = "nil 1 message was not delivered within %d ms.* table: "
    local brief = nginx:get("/brief").body:gsub("0x%x+", "")
    assert.truthy(brief:find("^" .. undelivered:format(31) .. ", " .. undelivered:format(32) .. "$"), brief)
    nginx:get "/logging"
    local text = "producer:%s cannot wait in log_by_lua: sent messages are delivered in the background; "
      .. "call it in ngx.timer.at"
    assert.equal(text:format "flush" .. " " .. text:format "close", nginx:get("/said").body)
    assert.equal(table.concat({
      "bad argument #1 to 'producer' (overflow: 'block' would block nginx, 'error' or 'drop_oldest' expected)",
      "bad argument #1 to 'producer' (unknown option 'overflaw')",
      "bad argument #1 to 'flush' (timeout: integer from 0 to 86400000 expected, got 1)",
      "producer is closed",
    }, "\n"), nginx:get("/misuse").body)
    nginx:stop()
    silent:close()
  end)

  it("is the same for all Lua states of a worker, and leaks no thread, when lua_code_cache is off", function()
    local topic = server_support.name "cacheless"
    local nginx = start {
      values = { topic = topic }, http = "lua_code_cache off;",
      locations = [[
        location = /send { content_by_lua_block {
          ngx.print(tostring(require("upstash.kafka").new():producer():send("$topic", "v")))
        } }
        location = /call { content_by_lua_block {
          ngx.print(tostring(require("upstash.kafka").new():topics()["$topic"]))
        } }
      ]],
    }
    local function threads()
      local _, out = shell.run(("ls /proc/%d/task | wc -l"):format(nginx:workers()[1]))
      return tonumber(out)
    end
    for _ = 1, 20 do assert.equal("true", nginx:get("/send").body) end
    local some = threads()
    for _ = 1, 180 do assert.equal("true", nginx:get("/send").body) end
    assert.equal("1", nginx:get("/call").body)
    assert.is_true(threads() <= some + 1, threads()) -- a resolver's may come and go
    local status = nginx:finish "QUIT"
    assert.equal(0, status)
    assert.equal(200, stored(client, topic))
    assert.is_true(clean_ends(nginx))
    nginx:stop()
  end)

  describe("at the end", function()
    -- A producer that does not send before the end.
    local function queueing(exit_worker, url)
      return start {
        environment = server:environment { UPSTASH_KAFKA_REST_URL = url },
        values = { topic = server_support.name "end", exit_worker = exit_worker },
        http = [[
          init_by_lua_block {
            topic = "$topic"
            producer = require("upstash.kafka").new():producer { topic = topic, linger = 60000,
              batch_bytes = 8388608, batch_messages = 100000 }
          }
          exit_worker_by_lua_block { $exit_worker }
        ]],
        locations = [[
          location = /queue { content_by_lua_block {
            for _ = 1, 5000 do assert(producer:send(nil, ("x"):rep(100))) end
            ngx.print(topic, " ", producer:stats().queued)
          } }
        ]],
      }
    end

    local function queue(nginx)
      local topic, queued = nginx:get("/queue").body:match "^(%S+) (%d+)$"
      assert.equal("5000", queued)
      return topic
    end

    for _, exit_worker in ipairs { "producer:close(2000)", "producer:close() producer:close()", "" } do
      for _, signal in ipairs { "QUIT", "TERM", "HUP" } do
        it(("by %s delivers what is queued, with '%s' in exit_worker"):format(signal, exit_worker), function()
          -- A worker that ends has 2 s at most. On a busy machine that may be too short: then the
          -- log reports the loss, and another worker ends.
          local delivered
          for _ = 1, 5 do
            local nginx = queueing(exit_worker)
            local topic = queue(nginx)
            if signal == "HUP" then nginx:reload() else assert.equal(0, (nginx:finish(signal))) end
            delivered = stored(client, topic)
            assert.is_true(clean_ends(nginx))
            local discarded = nginx:log():match "messages discarded: (%d+); " or "0"
            nginx:stop()
            assert.is_true(delivered + discarded >= 5000, ("%d stored, %s discarded"):format(delivered, discarded))
            if delivered == 5000 then break end
          end
          assert.equal(5000, delivered)
        end)
      end

      it(("reports how many are lost while the server hangs, with '%s' in exit_worker"):format(exit_worker), function()
        local silent = assert(require("socket").bind("127.0.0.1", 0))
        local nginx = queueing(exit_worker, "http://127.0.0.1:" .. select(2, silent:getsockname()))
        queue(nginx)
        local status = nginx:finish "TERM"
        assert.equal(0, status)
        assert.is_true(clean_ends(nginx))
        assert.truthy(nginx:log():find("upstash-kafka: messages discarded: 5000; ", 1, true), nginx:log())
        nginx:stop()
        silent:close()
      end)
    end
  end)
end)

describe("in nginx, a producer under load", function()
  teardown(support.stop_all)

  local place, nginx, client, process, port

  -- The server is its own process, because the test kills it.
  local function serve()
    process = shell.start(("%s serve --listen 127.0.0.1:%d --data %s/data"):format(shell.command, port, place),
      { environment = { UPSTASH_KAFKA_SERVER_PASSWORD = "secret" } })
    process:expect "listening on http"
  end

  local LOCATIONS = [[
    location = /load {
      return 200 "x";
      log_by_lua_block {
        for _ = 1, 100 do
          local number = ngx.shared.counts:incr("sent", 1, 0)
          if not producer:send(nil, ("%010d"):format(number):rep(10)) then ngx.shared.counts:incr("refused", 1, 0) end
        end
      }
    }
    location = /counts { content_by_lua_block {
      local counts = ngx.shared.counts
      ngx.print(require("cjson").encode { sent = counts:get "sent" or 0, refused = counts:get "refused" or 0 })
    } }
  ]]

  before_each(function()
    place, port = folder.make(), free_port()
    serve()
    local access = { url = "http://127.0.0.1:" .. port, username = "kafka", password = "secret" }
    client = kafka.new(access)
    assert(client:create_topic("load", { partitions = 4 }))
    nginx = support.start {
      environment = { UPSTASH_KAFKA_REST_URL = access.url, UPSTASH_KAFKA_REST_USERNAME = access.username,
        UPSTASH_KAFKA_REST_PASSWORD = access.password },
      main = ENVIRONMENT, workers = 2, locations = LOCATIONS,
      http = [[
        lua_shared_dict counts 1m;
        init_by_lua_block {
          producer = require("upstash.kafka").new():producer { topic = "load", queue_bytes = 134217728 }
        }
        # Longer than the 2 s of a producer that nobody closes: a busy machine may need them.
        exit_worker_by_lua_block { producer:close(40000) }
      ]],
    }
  end)

  after_each(function()
    nginx:stop()
    process:remove()
    folder.remove(place)
  end)

  -- Sends requests in the background. Returns a function that stops and returns the number of
  -- responses.
  local function load(pause)
    local stop = place .. "/stop"
    local worker = shell.start(("%s spec/support/nginx_load.lua %d /load %s %s"):format(shell.lua, nginx.port, stop,
      pause))
    return function()
      folder.write(stop, "")
      worker:wait(60)
      local done, failed = worker:output():match "^(%d+)%s+(%d+)"
      worker:remove()
      assert.equal(0, tonumber(failed))
      return tonumber(done)
    end
  end

  local function counts()
    return cjson.decode(nginx:get("/counts").body)
  end

  it("neither loses nor duplicates messages while nginx is reloaded 30 times", function()
    local finish = load "0.001"
    for _ = 1, 30 do nginx:reload() end
    local requests = finish()
    local said = counts()
    assert.equal(0, (nginx:finish "QUIT"))
    assert.same({ sent = requests * 100, refused = 0 }, said)
    assert.equal(said.sent, stored(client, "load"))
    assert.is_true(clean_ends(nginx))
    assert.is_true(#nginx:ends() >= 60)
    assert.is_nil(nginx:log():find("discarded", 1, true))
  end)

  it("delivers everything, within its memory, after the server was down for 10 s", function()
    local function memory()
      local most = 0
      for _, pid in ipairs(nginx:workers()) do
        local _, out = shell.run(("grep VmRSS /proc/%d/status"):format(pid))
        most = math.max(most, tonumber(out:match "%d+") / 1024)
      end
      return most
    end
    local finish = load "0.01"
    shell.eventually(10, function() return stored(client, "load") > 0 end)
    process:signal "KILL"
    process:wait()
    process:remove()
    shell.run "sleep 10"
    local during = memory()
    serve()
    local requests = finish()
    local said = counts()
    assert.same({ sent = requests * 100, refused = 0 }, said)
    shell.eventually(60, function() return distinct(client, "load") == said.sent end)
    -- Messages that the server had stored but not acknowledged when it was killed are stored twice:
    -- one batch of each worker.
    local twice = stored(client, "load") - said.sent
    assert.is_true(twice >= 0 and twice <= 2 * 10000, twice)
    assert.is_true(during < 128 + 64, during)
    assert.equal(0, (nginx:finish "QUIT"))
    assert.is_true(clean_ends(nginx))
  end)
end)
