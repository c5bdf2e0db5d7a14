-- kafka.lua LUA: the server in front of a Kafka cluster against kcat and bare librdkafka, on the
-- same broker in the same run, and the memory of consumer instances.
--
-- `make bench` runs it if a Kafka can be started. Each comparison alternates between its two sides,
-- round by round. Both sides of a produce wait for acks=all; kcat lingers for 5 ms, the server not
-- at all.

package.path = "bench/?.lua;" .. package.path
local measure = require "measure"
local http = require "spec.support.http"
local programs, credentials, capture = measure.programs, measure.credentials, measure.capture
local lua = ...
local rounds = measure.rounds
local partitions = 4
local connections = 16
local broker = assert(io.popen ".ci/kafka address"):read "l"
local run = os.time() -- topics are new in each run

local function seconds(command, ...)
  command = command:format(...)
  return (capture(string.format("bash -c 'TIMEFORMAT=%%R; time %s >/dev/null' 2>&1", command)))
end

local function topic(name, count)
  local full = string.format("bench-%d-%s", run, name)
  assert(os.execute(string.format(".ci/kafka topics --create --topic %s --partitions %d >/dev/null", full, count)))
  return full
end

-- A file of lines, each a message.
local function lines(count, bytes)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  local block = (("x"):rep(bytes) .. "\n"):rep(1000)
  for _ = 1, count // 1000 do file:write(block) end
  file:close()
  return name
end

local function produce_ratio(server, bytes, count)
  local name = topic("produce-" .. bytes, partitions)
  local file = lines(count, bytes)
  measure.compare(string.format("(k) produce of %d-byte messages in batches of 1,000, %d connections, against kcat -P",
    bytes, connections), "messages/s",
    function()
      return 1000 * capture(string.format("%sload %s %s %d %d /produce/%s 1000 %d", programs, server.port, credentials,
        connections, count // 1000, name, bytes))
    end,
    function()
      return count / seconds("kcat -P -b %s -t %s -X acks=all -l %s", broker, name, file)
    end, "0.7")
  os.remove(file)
end

-- kcat's messages per second. Its start does not count, just as our join of the group does not.
local function kcat_reads(count, name)
  local command = "kcat -C -q -e -b %s -t %s -o beginning -c %d"
  local whole = seconds(command, broker, name, count)
  return (count - 1) / (whole - seconds(command, broker, name, 1))
end

local groups = 0 -- each reads its topic once

local function consume_ratio(server, name, bytes, count, instances, more)
  measure.compare(string.format("(l) consume of %d-byte messages from %d partitions, %d instance%s%s, against kcat -C",
    bytes, partitions, instances, instances > 1 and "s of a group" or "", more or ""), "messages/s",
    function()
      groups = groups + 1
      return capture(string.format("%sdrain %s %s bench-%d-%d %s %d %d", programs, server.port, credentials, run,
        groups, name, count, instances))
    end,
    function() return kcat_reads(count, name) end, "0.7")
end

local function consume_ratios(server, bytes, count)
  local name = topic("consume-" .. bytes, partitions)
  local parts = 4
  local file = lines(count // parts, bytes)
  for _ = 1, parts do
    assert(os.execute(string.format("kcat -P -b %s -t %s -X acks=all -l %s", broker, name, file)))
  end
  os.remove(file)
  consume_ratio(server, name, bytes, count, 1)
  consume_ratio(server, name, bytes, count, partitions)
  return name
end

-- kcat reads 64 MiB ahead, and an instance 1 MiB: with less than that, the answers of the broker
-- are small.
local function read_further_ahead(name, bytes, count)
  local option = "--prefetch-bytes 4194304"
  local server = measure.serve(lua, "--brokers " .. broker .. " " .. option)
  consume_ratio(server, name, bytes, count, 1, " with " .. option)
  server.stop()
end

local function added_latency(server)
  local name = topic("latency", 1)
  local ours, bare, added = {}, {}, {}
  local ours50, bare50 = {}, {}
  for round = 1, rounds do
    ours50[round], ours[round] = capture(string.format("%slatency %s %s %s 1000", programs, server.port, credentials,
      name))
    bare50[round], bare[round] = capture(string.format("%sbare_rdkafka %s %s 1000", programs, broker, name))
    added[round] = ours[round] - bare[round]
  end
  print "(m) one produce after another, against bare librdkafka, both idempotent with acks=all"
  local function both(title, medians, tails)
    print(string.format("%s  median %s, p99 %s us", title, measure.describe(medians, "%.0f"),
      measure.describe(tails, "%.0f")))
  end
  both("  ours    ", ours50, ours)
  both("  compared", bare50, bare)
  print("  added at p99 " .. measure.describe(added, "%.0f") .. " us  wanted < 2000")
end

local function memory()
  print "(n) resident memory of the server with consumer instances, each in a group of its own"
  for _, count in ipairs { 1, 100, 500 } do
    local server = measure.serve(lua, "--brokers " .. broker)
    local name = topic("instances-" .. count, 1)
    local idle, full = capture(string.format("%sinstances %s %s %d %s %s", programs, server.port, credentials, count,
      name, server.pid))
    print(string.format("  %3d instances  %.1f MB idle, %.1f MB after each has read ahead", count, idle / 1024,
      full / 1024))
    server.stop()
  end
end

-- A repeat that reaches another server after each of these delays, in milliseconds, and how often
-- that server stored it again.
local function key_window(rounds_each)
  print "(p) repeats with an idempotency key that another server stored again, by delay after the first answer"
  local servers = { measure.serve(lua, "--brokers " .. broker), measure.serve(lua, "--brokers " .. broker) }
  local clients, name, number = {}, topic("keys", 1), 0
  for index, each in ipairs(servers) do
    clients[index] = http.client(each.url, credentials:match "^(.-):(.*)$")
  end
  local function post(index, key)
    local response = clients[index]:request("POST", "/produce/" .. name,
      { body = "[{\"value\":\"x\"}]", headers = { ["Idempotency-Key"] = key } })
    assert(response.status == 200, response.body)
    return response.headers["idempotent-replayed"] ~= nil
  end
  for index = 1, 2 do post(index, ("warm-%d-%d"):format(run, index)) end
  for _, delay in ipairs { 0, 1, 2, 5, 10, 20, 50, 100 } do
    local again = 0
    for _ = 1, rounds_each do
      number = number + 1
      local key = ("bench-%d-%d"):format(run, number)
      assert(not post(1, key))
      if delay > 0 then http.sleep(delay / 1000) end
      if not post(2, key) then again = again + 1 end
    end
    print(string.format("  after %3d ms  %d of %d", delay, again, rounds_each))
  end
  for _, each in ipairs(servers) do each.stop() end
end

print(string.format("Kafka at %s, medians of %d rounds (smallest to largest)", broker, rounds))
local server = measure.serve(lua, "--brokers " .. broker)
produce_ratio(server, 100, 1000000)
produce_ratio(server, 1024, 200000)
consume_ratios(server, 100, 4000000)
local large = consume_ratios(server, 1024, 1000000)
read_further_ahead(large, 1024, 1000000)
added_latency(server)
server.stop()
memory()
key_window(200)
