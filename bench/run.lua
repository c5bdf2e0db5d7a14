-- run.lua LUA...: runs every benchmark of this folder; prints ratios of medians over several
-- rounds.
--
-- `make bench` runs it, and builds the programs into build/bench. Each comparison alternates
-- between its two sides, round by round, so that a slower machine slows both.

package.path = "bench/?.lua;" .. package.path
local measure = require "measure"
local programs, rounds, credentials = measure.programs, measure.rounds, measure.credentials
local capture, describe, temporary, compare = measure.capture, measure.describe, measure.temporary, measure.compare
local luas = { ... }

local function serve(options)
  return measure.serve(luas[1], options)
end

local function lua_command(lua, script)
  return string.format('eval "$(make -s env LUA=%s)" && LUA_CPATH="build/bench/%s/?.so;$LUA_CPATH" %s bench/%s', lua,
    lua, lua, script)
end

local function produce_ratio(lua)
  local server = serve "--no-sync --threads 1" -- one thread for one connection: less variance
  local value = ("x"):rep(100)
  local requests = 5000
  compare("(a) produce, one message at a time over keep-alive, " .. lua .. " against bare libcurl in C", "requests/s",
    function()
      return capture(string.format("%s %s bench bench %d produce-ours %s", lua_command(lua, "produce.lua"), server.url,
        requests, value))
    end,
    function()
      return capture(string.format("%sbare_curl %s/produce/produce-bare %s %d '{\"value\":\"%s\"}'", programs,
        server.url, credentials, requests, value))
    end, "0.90")
  server.stop()
end

local function consume_ratio(lua)
  local server = serve "--no-sync --partitions 1"
  local batches = 200
  capture(string.format("%sload %s %s 2 %d /produce/batches 1000", programs, server.port, credentials, batches))
  local cpu = { client = {}, hand = {} }
  local function side(how)
    return function(round)
      local rate, clock = capture(string.format("%s %s %s bench bench batches %s-%d %d",
        lua_command(lua, "consume.lua"), how, server.url, how, round, batches))
      cpu[how][round] = clock
      return rate
    end
  end
  compare("(b) consume of 1,000 x 100 bytes, " .. lua .. " client against libcurl + lua-cjson", "batches/s",
    side "client", side "hand", "1.8")
  local ratios = {}
  for round = 1, rounds do ratios[round] = cpu.hand[round] / cpu.client[round] end
  print("  processor time of the consumer alone: " .. describe(ratios, "%.2f") .. " times less")
  server.stop()
end

local function durable_ratios()
  local server = serve ""
  local directory = temporary()
  local function load(arguments)
    local line = string.format("%sload %s %s %s", programs, server.port, credentials, arguments)
    return function() return capture(line) end
  end
  compare("(c) durable single produces at 64 connections against LMDB committing one by one", "records/s",
    load "64 30000 /produce/single 1",
    function() return capture(string.format("%sbare_lmdb %s 1 3000", programs, directory)) end, "3.5")
  compare("(c) durable batches of 1,000 against LMDB committing the same batches", "batches/s",
    load "4 400 /produce/batch 1000",
    function() return capture(string.format("%sbare_lmdb %s 1000 400", programs, directory)) end, "0.25")
  server.stop()
  os.execute("rm -rf " .. directory)
end

local function key_ratios()
  local server = serve ""
  local keys = 0
  local function next_key()
    keys = keys + 1
    return ("%032x"):format(keys)
  end
  local function side(connections, requests, messages)
    return function(_, keyed)
      local before = measure.processor_time(server.pid)
      capture(string.format("%sload %s %s %d %d /produce/keyed-%d %d 100 %s", programs, server.port, credentials,
        connections, requests, messages, messages, keyed and next_key() or ""))
      return requests / (measure.processor_time(server.pid) - before)
    end
  end
  local function both(title, ...)
    local run = side(...)
    compare(title, "requests/s", function(round) return run(round, true) end, function(round) return run(round) end,
      "0.90")
  end
  print "(q) what an idempotency key costs: requests for each second of the server's processor time, with and without"
  both("  durable single produces on one connection", 1, 3000, 1)
  both("  durable single produces on 64 connections", 64, 30000, 1)
  both("  durable batches of 1,000", 4, 400, 1000)
  server.stop()
end

local function loop_ratios(lua)
  local server = serve "--partitions 1"
  local batches, each = 200, { loop = {}, plain = {} }
  capture(string.format("%sload %s %s 2 %d /produce/loops 1000", programs, server.port, credentials, batches))
  local function side(how)
    return function(round)
      local before = measure.processor_time(server.pid)
      local _, requests = capture(string.format("%s %s %s bench bench loops %s-%d %d", lua_command(lua, "loops.lua"),
        how, server.url, how, round, batches))
      each[how][round] = requests
      return batches / (measure.processor_time(server.pid) - before)
    end
  end
  compare("(r) client:batches against consume and commit by hand, " .. lua .. ", batches of 1,000, each committed",
    "batches/s", side "loop", side "plain", "1.00")
  print("  requests for each batch: " .. describe(each.loop, "%.2f") .. ", by hand " .. describe(each.plain, "%.2f"))
  server.stop()
end

local function start_figures()
  local ms, kb = {}, {}
  for round = 1, rounds do
    local directory = temporary()
    local port = 20000 + (os.time() + round * 7919) % 20000
    ms[round], kb[round] = capture(string.format(measure.server_command, programs .. "start " .. port .. " ", luas[1],
      port, directory))
    os.execute("rm -rf " .. directory)
  end
  print "(d) start and idle"
  print("  first answered /health after  " .. describe(ms, "%.1f") .. " ms  wanted <= 50")
  print("  resident memory idle          " .. describe(kb, "%.0f") .. " kB  wanted <= 12288")
end

local function waiting_figures()
  local count = 10000
  local server = serve "--partitions 1"
  capture(string.format("%sload %s %s 1 1 /produce/waited 1", programs, server.port, credentials))
  local threads, kb, ms = capture(string.format("%swaiting %s %s %d waited %s", programs, server.port, credentials,
    count, server.pid))
  print(string.format("(e) %d consumes waiting at once", count))
  print(string.format("  threads of the server %d", threads))
  print(string.format("  resident memory %.1f MB  wanted < 100", kb / 1024))
  print(string.format("  all answered after %.0f ms  wanted < 1000", ms))
  server.stop()
end

local function enqueue_figures(lua)
  local server = serve "--no-sync"
  print("(f) one producer:send, " .. lua)
  for _, bytes in ipairs { 100, 1024, 10240 } do
    local ns, count = {}, math.min(200000, 100000000 // (bytes + 200))
    for round = 1, rounds do
      ns[round] = capture(string.format("%s %s bench bench enqueue %d %d", lua_command(lua, "enqueue.lua"), server.url,
        bytes, count))
    end
    print(string.format("  %5d bytes  %s ns", bytes, describe(ns, "%.0f")) ..
      (bytes == 1024 and "  wanted <= 1000" or ""))
  end
  server.stop()
end

local function sender_ratios(lua)
  local server = serve ""
  local directory = temporary()
  local function side(how, messages)
    return function()
      return capture(string.format("%s %s %s bench bench sender-%s %d", lua_command(lua, "sender.lua"), how, server.url,
        how, messages))
    end
  end
  local ours = side("producer", 1000000)
  compare("(g) 100-byte messages through a producer, durable and acknowledged, " .. lua ..
    " against LMDB committing batches of 1,000", "messages/s", ours,
    function() return 1000 * capture(string.format("%sbare_lmdb %s 1000 1000", programs, directory)) end, "0.25")
  compare("(g) the same against batches of 1,000 by lua-cjson and libcurl", "messages/s", ours, side("hand", 200000),
    "1.3")
  server.stop()
  os.execute("rm -rf " .. directory)
end

local function probe_figures()
  print "(h) another location of the same nginx worker, while calls and a log phase meet a server in trouble"
  os.execute(lua_command("luajit", "nginx_probe.lua"))
end

local function log_phase_ratios()
  local server = serve("", nil, "taskset -c 1 ")
  print "(i) requests to one nginx worker whose log phase sends a message for each"
  os.execute(string.format("%s %s bench bench %d", lua_command("luajit", "nginx_load.lua"), server.url, rounds))
  server.stop()
end

local function table_value_ratios(lua)
  print("(j) a value that is a table, processor time against lua-cjson, " .. lua .. "  wanted <= 1.00")
  os.execute(string.format("%s %d", lua_command(lua, "table_values.lua"), rounds))
end

print(string.format("medians of %d rounds (smallest to largest)", rounds))
for _, lua in ipairs(luas) do produce_ratio(lua) end
for _, lua in ipairs(luas) do consume_ratio(lua) end
durable_ratios()
key_ratios()
for _, lua in ipairs(luas) do loop_ratios(lua) end
start_figures()
waiting_figures()
for _, lua in ipairs(luas) do enqueue_figures(lua) end
for _, lua in ipairs(luas) do sender_ratios(lua) end
for _, lua in ipairs(luas) do table_value_ratios(lua) end
if table.concat(luas, " "):find "luajit" then
  probe_figures()
  log_phase_ratios()
end
