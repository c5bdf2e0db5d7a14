-- Loops over messages in timers of a real nginx: they delay neither a reload nor the exit.

local canned = require "spec.support.canned_server"
local free_port = require "spec.support.free_port"
local server_support = require "spec.support.server"
local shell = require "spec.support.shell"
local support = require "spec.support.nginx"

if not support.runs_here then return pending(support.NEEDS) end

local ENVIRONMENT = "env UPSTASH_KAFKA_REST_URL; env UPSTASH_KAFKA_REST_USERNAME; env UPSTASH_KAFKA_REST_PASSWORD;"

-- Milliseconds for the end of a worker: less than any poll, call or wait below.
local SOON = 15000

-- A consumer in a timer that writes each message to the error log. `values` fill in the names.
local HTTP = [[
  init_by_lua_block { kafka = require "upstash.kafka" }
  init_worker_by_lua_block {
    ngx.timer.at(0, function()
      local client = kafka.new()
      local fine, problem = pcall(function()
        for message in client:messages { group = "group-of-$topic", instance = "$instance", topic = "$topic", from = "earliest",
          timeout = 30000 } do
          ngx.log(ngx.NOTICE, "got <", message.value, ">")
        end
      end)
      ngx.log(ngx.NOTICE, "loop ended: ", fine, " ", tostring(problem))
    end)
  }
]]

describe("in nginx, a loop in a timer", function()
  teardown(support.stop_all)

  local server, topic

  setup(function() server = server_support.start() end)
  teardown(function() server:stop() end)
  before_each(function() topic = server:topic(2, 0) end)

  local function start(instance, workers)
    return support.start { environment = server:environment(), main = ENVIRONMENT, http = HTTP, workers = workers,
      values = { instance = instance, topic = topic } }
  end

  local function instances() return server:instances("group-of-" .. topic) end

  it("gets messages, and its instance name contains the numbers of worker and process", function()
    local nginx = start("worker-%w-%p", 2)
    server:fill(topic, 1, 10, 2)
    for number = 1, 10 do nginx:expect("got <" .. number .. ">") end
    local names = shell.eventually(10, function()
      local list = instances()
      return #list == 2 and list
    end)
    local pids = nginx:workers()
    for index, name in ipairs(names) do
      local worker, pid = name:match "^worker%-(%d)%-(%d+)$"
      assert.equal(index - 1, tonumber(worker))
      assert.is_true(tonumber(pid) == pids[1] or tonumber(pid) == pids[2])
    end
    nginx:stop()
  end)

  it("ends soon after QUIT, commits, and deletes its instance", function()
    local nginx = start "one"
    server:fill(topic, 1, 4, 2)
    for number = 1, 4 do nginx:expect("got <" .. number .. ">") end
    assert.same({ "one" }, instances())
    local status, took = nginx:finish "QUIT"
    assert.equal(0, status)
    assert.is_true(took < SOON, took)
    assert.same({}, instances())
    assert.equal(2, server:committed("group-of-" .. topic, topic, 0))
    assert.equal(2, server:committed("group-of-" .. topic, topic, 1))
    assert.truthy(nginx:log():find("loop ended: true nil", 1, true))
    assert.same({ "with code 0" }, nginx:ends())
    nginx:stop()
  end)

  it("ends soon after a reload, and the next worker continues without loss", function()
    local nginx = start "%w-%p"
    for round = 0, 2 do
      server:fill(topic, round * 4 + 1, round * 4 + 4, 2)
      for number = round * 4 + 1, round * 4 + 4 do nginx:expect("got <" .. number .. ">") end
      local took = nginx:reload()
      assert.is_true(took < SOON, took)
    end
    server:fill(topic, 13, 16, 2)
    for number = 13, 16 do nginx:expect("got <" .. number .. ">") end
    local seen = {}
    for value in nginx:log():gmatch "got <(%d+)>" do
      assert.is_nil(seen[value], "twice: " .. value) -- all had been committed
      seen[value] = true
    end
    for _, how in ipairs(nginx:ends()) do assert.equal("with code 0", how) end
    nginx:stop()
  end)

  it("ends soon in the middle of a batch, and commits finished messages", function()
    local nginx = support.start { environment = server:environment(), main = ENVIRONMENT, values = { topic = topic },
      http = [[
        init_worker_by_lua_block {
          ngx.timer.at(0, function()
            local client = require("upstash.kafka").new()
            for message in client:messages { group = "slow", instance = "one", topic = "$topic", from = "earliest" } do
              ngx.log(ngx.NOTICE, "got <", message.value, ">")
              ngx.sleep(0.2)
            end
          end)
        }
      ]] }
    local values = {}
    for number = 1, 100 do values[number] = { value = tostring(number), partition = 0 } end
    assert(server:client():produce_many(topic, values))
    nginx:expect "got <2>"
    local status, took = nginx:finish "QUIT"
    assert.equal(0, status)
    assert.is_true(took < SOON, took)
    local got = 0
    for _ in nginx:log():gmatch "got <" do got = got + 1 end
    assert.is_true(got < 100)
    assert.equal(got, server:committed("slow", topic, 0))
    nginx:stop()
  end)

  it("D1: ends soon after loop:stop() in another request, commits, and deletes its instance", function()
    server:fill(topic, 1, 2, 1)
    local nginx = support.start { environment = server:environment(), main = ENVIRONMENT, values = { topic = topic },
      http = [[
        init_worker_by_lua_block {
          ngx.timer.at(0, function()
            local client = require("upstash.kafka").new()
            local next_message, state = client:messages { group = "stopped", instance = "one", topic = "$topic",
              from = "earliest", timeout = 30000 }
            loop = state
            for message in next_message, state do ngx.log(ngx.NOTICE, "got <", message.value, ">") end
            ngx.log(ngx.NOTICE, "loop ended, stopped: ", tostring(state:stopped()))
          end)
        }
      ]],
      locations = [[
        location = /stop { content_by_lua_block { loop:stop() ngx.say "stopping" } }
      ]] }
    nginx:expect "got <2>"
    assert.equal("stopping\n", nginx:get("/stop").body)
    nginx:expect "loop ended, stopped: true"
    assert.equal(2, server:committed("stopped", topic))
    assert.same({}, server:instances "stopped")
    nginx:stop()
  end)

  it("D10: can use a message's headers, commit it, and send a value alone", function()
    local nginx = support.start { environment = server:environment(), main = ENVIRONMENT, values = { topic = topic },
      http = [[
        init_worker_by_lua_block {
          ngx.timer.at(0, function()
            local client = require("upstash.kafka").new()
            local producer = client:producer { topic = "$topic" }
            assert(producer:send "first")
            assert(producer:flush(60000))
            assert(client:produce("$topic", "second", { headers = { lang = "en" } }))
            local next_message, state = client:messages { group = "conveniences", instance = "one", topic = "$topic",
              from = "earliest", limit = 2 }
            for message in next_message, state do
              local done = state:commit(message)
              ngx.log(ngx.NOTICE, "got <", message.value, " ", tostring(message:header "lang"), " ", tostring(done), ">")
            end
            ngx.log(ngx.NOTICE, "loop ended")
          end)
        }
      ]] }
    nginx:expect "loop ended"
    local log = nginx:log()
    assert.truthy(log:find("got <first nil true>", 1, true))
    assert.truthy(log:find("got <second en true>", 1, true))
    nginx:stop()
  end)

  it("C9: refuses the option proxy", function()
    local nginx = support.start { environment = server:environment(), main = ENVIRONMENT, locations = [[
        location = /proxy { content_by_lua_block {
          local client = require("upstash.kafka").new { url = "http://10.0.0.1", proxy = "http://10.0.0.2:3128" }
          ngx.say(select(2, pcall(client.topics, client)))
        } }
      ]] }
    local body = nginx:get("/proxy").body
    assert.truthy(body:find("client:topics: nginx's sockets know no proxy: remove the option proxy", 1, true), body)
    nginx:stop()
  end)

  it("D1: takes no signals: they are nginx's", function()
    local nginx = support.start { environment = server:environment(), main = ENVIRONMENT,
      http = [[
        init_worker_by_lua_block {
          local client = require("upstash.kafka").new()
          local options = { group = "g", instance = "i", topic = "t", stop_on_signal = true }
          ngx.log(ngx.NOTICE, "refused: ", select(2, pcall(client.messages, client, options)))
        }
      ]] }
    nginx:expect "stop_on_signal: nginx takes the signals; a loop ends with its worker, or by loop:stop()"
    nginx:stop()
  end)

  it("over a partition also ends with QUIT", function()
    server:fill(topic, 1, 2, 1)
    local nginx = support.start { environment = server:environment(), main = ENVIRONMENT, values = { topic = topic },
      http = [[
        init_worker_by_lua_block {
          ngx.timer.at(0, function()
            local client = require("upstash.kafka").new()
            for message in client:records { topic = "$topic", partition = 0, timeout = 60000 } do
              ngx.log(ngx.NOTICE, "got <", message.value, ">")
            end
            ngx.log(ngx.NOTICE, "loop ended")
          end)
        }
      ]] }
    nginx:expect "got <2>"
    local status, took = nginx:finish "QUIT"
    assert.equal(0, status)
    assert.is_true(took < SOON, took)
    assert.truthy(nginx:log():find("loop ended", 1, true))
    nginx:stop()
  end)

  -- { what the server does, a function that returns its URL, and the server if it is to be ended }
  local troubles = {
    ["is not there"] = function() return "http://127.0.0.1:" .. free_port() end,
    -- Later connections are not accepted, which hangs as well.
    ["hangs"] = function()
      local hanging = canned.start { "accept", "read", "hold" }
      return hanging.url, hanging
    end,
    ["asks for a minute of patience"] = function()
      local patient = canned.start { "accept", "read", canned.answer(503, "{}", { "Retry-After: 60" }), "hold" }
      return patient.url, patient
    end,
  }
  for trouble, make in pairs(troubles) do
    it("ends soon while the server " .. trouble, function()
      local url, troubled = make()
      local environment = server:environment { UPSTASH_KAFKA_REST_URL = url }
      local nginx = support.start { environment = environment, main = ENVIRONMENT, http = HTTP,
        values = { instance = "%p", topic = topic } }
      shell.run "sleep 0.3"
      local took = nginx:reload()
      assert.is_true(took < SOON, took)
      local status, quit = nginx:finish "QUIT"
      assert.equal(0, status)
      assert.is_true(quit < SOON, quit)
      assert.truthy(nginx:log():find("loop ended: true nil", 1, true))
      nginx:stop()
      if troubled then troubled:finish() end
    end)
  end

  it("survives a server that is down for a while", function()
    local nginx = start "%p"
    server:fill(topic, 1, 2, 2)
    nginx:expect "got <1>"
    nginx:expect "got <2>"
    server:restart(server.url:match "//(.*)$")
    server:fill(topic, 3, 4, 2)
    nginx:expect("got <3>", 20)
    nginx:expect("got <4>", 20)
    nginx:stop()
  end)
end)
