-- nginx_load.lua URL USERNAME PASSWORD ROUNDS: requests per second of one nginx worker whose log
-- phase sends a message of 200 bytes for each, as ratios to the same location without a log phase,
-- to one with an empty log phase, and to a hand-written buffer. wrk is the load, with 32
-- connections. Prints medians and the messages' outcomes.
--
-- nginx, with the producer's thread, and wrk share the first processor. Keep the server, which in
-- production runs elsewhere, off it (taskset -c 1): nginx and wrk wait for each other, so each
-- microsecond of the server on their processor delays both. wrk runs as a batch job: otherwise it
-- preempts nginx with each answer, three times as often if there is a third thread.
--
-- Debian's lua-nginx-kafka (lua-resty-kafka) is not compared: it speaks Kafka's own protocol.
package.path = "./?.lua;./bench/?.lua;" .. package.path

local folder = require "spec.support.folder"
local shell = require "spec.support.shell"
local support = require "spec.support.nginx"

local url, username, password, rounds = ...
local host, port = url:match "^http://(.-):(%d+)$"
local SECONDS, CONNECTIONS = 2, 32

local HTTP = [[
  init_by_lua_block {
    producer = require("upstash.kafka").new { url = "$server", username = "$username", password = "$password" }
      :producer { topic = "ours", queue_bytes = 64 * 1024 * 1024, log = false }
    value = ("x"):rep(200)
    refused = 0
  }
  init_worker_by_lua_block {
    by_hand = require("bench.nginx_hand").new("$host", $server_port, "$username", "$password", "hand")
  }
  keepalive_requests 1000000000;
]]

local LOCATIONS = [[
  location = /plain { return 200 "x"; }
  location = /nothing { return 200 "x"; log_by_lua_block { } }
  location = /ours {
    return 200 "x";
    log_by_lua_block { producer:send(nil, value) }
  }
  location = /hand {
    return 200 "x";
    log_by_lua_block { if not by_hand(value) then refused = refused + 1 end }
  }
  location = /counts { content_by_lua_block {
    producer:flush(60000)
    local stats = producer:stats()
    ngx.print(stats.sent, " ", stats.delivered, " ", stats.refused, " ", refused)
  } }
]]

local nginx = support.start {
  main = "worker_cpu_affinity 1;", http = HTTP, locations = LOCATIONS,
  values = { server = url, host = host, server_port = port, username = username, password = password },
}

-- By path, one figure for each round: CPU microseconds per request, of nginx's own thread and of
-- the whole process; the 99th percentile of answer times in milliseconds.
local loop, process, slow = {}, {}, {}
local UNITS = { us = 0.001, ms = 1, s = 1000 }

local function note(list, path, figure)
  list[path] = list[path] or {}
  table.insert(list[path], figure)
end

-- Of the worker, in microseconds.
local function processor_time(of)
  local pid = nginx:workers()[1]
  local fields = folder.read(("/proc/%d/%s/stat"):format(pid, of == loop and "task/" .. pid or "")):match "%) (.*)"
  local user, system = fields:match("^" .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
  return (user + system) * 1e4
end

local function load(path)
  local loop_before, process_before = processor_time(loop), processor_time(process)
  local line = ("taskset -c 0 chrt -b 0 wrk --latency -t1 -c%d -d%d %s%s"):format(CONNECTIONS, SECONDS, nginx.url, path)
  local status, out, problem = shell.run(line)
  assert(status == 0 and not out:find "Non%-2xx", out .. problem)
  local requests = tonumber(out:match "(%d+) requests in")
  note(loop, path, (processor_time(loop) - loop_before) / requests)
  note(process, path, (processor_time(process) - process_before) / requests)
  local number, unit = out:match "99%%%s+([%d.]+)(%l+)"
  note(slow, path, number * UNITS[unit])
  return tonumber(out:match "Requests/sec:%s+([%d.]+)")
end

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local plain, to_plain, to_nothing, to_hand = {}, {}, {}, {}
for round = 1, tonumber(rounds) do
  plain[round] = load "/plain"
  local ours = load "/ours"
  to_plain[round], to_nothing[round], to_hand[round] = ours / plain[round], ours / load "/nothing", ours / load "/hand"
end
local sent, delivered, refused, hand_refused = nginx:get("/counts", 70).body:match "(%d+) (%d+) (%d+) (%d+)"
nginx:stop()

local function describe(list)
  local mid = median(list)
  return ("%.2f (%.2f to %.2f)"):format(mid, list[1], list[#list])
end

local function three(title, list)
  print(("  %-25s %.2f without, %.2f with, %.2f by hand"):format(title, median(list["/plain"]),
    median(list["/ours"]), median(list["/hand"])))
end

-- The rate of a worker with its own processor, by the CPU time of its event loop alone, and with
-- the producer's thread.
local by_loop, by_worker = {}, {}
for round = 1, #to_plain do
  by_loop[round] = loop["/plain"][round] / loop["/ours"][round]
  by_worker[round] = process["/plain"][round] / process["/ours"][round]
end
print(("  without a log phase       %.0f requests/s"):format(median(plain)))
print(("  with one that sends       %s times  wanted >= 0.85"):format(describe(to_plain)))
print(("  by the worker's time      %s times  wanted >= 0.85"):format(describe(by_worker)))
print(("  by its event loop's alone %s times"):format(describe(by_loop)))
print(("  against an empty phase    %s times"):format(describe(to_nothing)))
print(("  against a Lua buffer      %s times"):format(describe(to_hand)))
three("us of the event loop", loop)
three("us of the worker", process)
three("p99 of the answers, ms", slow)
print(("  of %s messages %s delivered, %s refused; by hand %s refused"):format(sent, delivered, refused, hand_refused))
