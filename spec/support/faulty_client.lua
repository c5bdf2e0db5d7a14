--- A process whose system calls fail, for client_faults_spec.lua. The environment names the server.
--
--   faulty_client.lua produce TOPIC COUNT IN_FLIGHT
--   faulty_client.lua consume TOPIC COUNT
--
-- `produce` sends the numbers 1 to COUNT in the background and prints the line "sent", and when all
-- are delivered or given up, its counts. `consume` prints each number that a loop gets, until it
-- has got COUNT different ones.

local kafka = require "upstash.kafka"
local core = require "upstash.kafka.core"

local role, topic, count = arg[1], arg[2], tonumber(arg[3])
local client = kafka.new { timeout = 20000, retries = 1000, retry_delay = 1, retry_delay_max = 20 }
io.stdout:setvbuf "line"

local roles = {}

function roles.produce()
  local producer = client:producer { topic = topic, linger = 0, batch_messages = 3, in_flight = tonumber(arg[4]) }
  for number = 1, count do
    assert(producer:send(nil, tostring(number)))
    if number % 10 == 0 then core.sleep(1) end
  end
  print "sent"
  local flushed, message = producer:flush(60000)
  local stats = producer:stats()
  print(("flushed %s, delivered %d, failed %d, dropped %d, %d failures, %s"):format(tostring(flushed),
    stats.delivered, stats.failed, stats.dropped, #producer:failures(), tostring(message)))
  assert(producer:close())
end

function roles.consume()
  local seen, left = {}, count
  for message in client:messages { group = "g", instance = "i", topic = topic, from = "earliest", timeout = 200,
    max_messages = 7, session_timeout = 2000 } do
    print(message.offset .. " " .. message.value)
    if not seen[message.value] then left = left - 1 end
    seen[message.value] = true
    if left == 0 then break end
  end
  print "all"
end

roles[role]()
client:close()
