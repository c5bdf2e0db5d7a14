--- A client of two servers behind a proxy, for rolling_restart_spec.lua.
--
--   rolling_worker.lua URL USERNAME PASSWORD TOPIC GROUP FILE
--
-- Produces one message after another with a key of its own, and consumes, until FILE is gone.
-- Prints each answer that is not 200, and at the end the number of messages that were stored.

local http = require "spec.support.http"

local url, username, password, topic, group, file = table.unpack(arg)
local client = http.client(url, username, password)
io.stdout:setvbuf "line"

local function exists()
  local handle = io.open(file)
  if handle then handle:close() end
  return handle ~= nil
end

local function ask(method, path, options)
  options.timeout = 60
  local fine, response = pcall(client.request, client, method, path, options)
  if not fine or response.status ~= 200 then
    print(("failed: %s %s: %s"):format(method, path, fine and response.status .. " " .. response.body or response))
  end
end

local stored = 0
while exists() do
  stored = stored + 1
  ask("POST", "/produce/" .. topic, {
    body = ('{"value":"%s-%d"}'):format(group, stored),
    headers = { ["Idempotency-Key"] = ("%s-%d"):format(group, stored) },
  })
  ask("GET", ("/consume/%s/one/%s?timeout=10"):format(group, topic), {
    headers = { ["Kafka-Ack"] = "none", ["Kafka-Auto-Offset-Reset"] = "earliest" },
  })
end
print("stored " .. stored)
