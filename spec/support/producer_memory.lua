-- A producer's life in plain Lua, short enough for valgrind (.ci/sanitize): messages that are
-- delivered, refused, expired, dropped, lost; producers that are closed, closed twice,
-- garbage-collected, left to the end of the process. Their counts must add up.
package.path = "./?.lua;" .. package.path

local kafka = require "upstash.kafka"
local server_support = require "spec.support.server"

local function check(producer)
  local counts = producer:stats()
  assert(counts.sent == counts.delivered + counts.dropped + counts.failed + counts.queued + counts.in_flight)
  return counts
end

-- valgrind has no room for a map of the default size.
local server = server_support.start { partitions = 1, map_bytes = 64 * 1024 * 1024 }
local client = server:client()

local function stored()
  return assert(client:offsets("latest", { topic = "topic", partition = 0 }))[1].offset
end

local function send(producer, count)
  for number = 1, count do
    producer:send("topic", { number = number }, { key = tostring(number % 7), headers = { a = "b" } })
  end
end

-- Delivered, and some of them refused by the server.
local producer = client:producer { linger = 1, batch_messages = 50 }
send(producer, 500)
for _ = 1, 20 do assert(producer:send("topic", "v", { partition = 7 })) end
assert(select(3, producer:flush(60000)).pending == 0) -- some are refused
assert(#producer:failures() == 20)
assert(check(producer).delivered == 500)
assert(producer:close())
assert(producer:close())

-- No server: expired, dropped, refused, and lost at the end.
local gone = kafka.new { url = "http://127.0.0.1:1", retry_delay = 1, retry_delay_max = 2 }
for overflow, count in pairs { error = "refused", drop_oldest = "dropped" } do
  for _, timeout in ipairs { 0, 20 } do
    local idle = gone:producer { overflow = overflow, queue_bytes = 8192, message_timeout = timeout, log = false }
    send(idle, 300)
    assert(check(idle)[count] > 0)
    if timeout > 0 then assert(select(3, idle:flush(60000)).given_up >= check(idle).failed) end
    assert(idle:close(50) == (timeout > 0 and true or nil))
    check(idle)
  end
end
gone:close()

-- Not closed: the first is garbage-collected and delivers; the second exists until the end of the
-- process, when the server is gone.
send(client:producer { name = "collected" }, 100)
collectgarbage()
require("spec.support.shell").eventually(60, function() return stored() == 600 end)
left = client:producer { -- luacheck: ignore
  name = "left", linger = 60000, flush_timeout = 100, log = false,
}
send(left, 10) -- luacheck: ignore
server:stop()
print "1 passed, 0 failed"
