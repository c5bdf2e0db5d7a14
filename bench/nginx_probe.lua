-- How fast a single nginx worker answers a location without Kafka while others wait for a server
-- that hangs, refuses, or takes 5 s: 20 concurrent calls, or a log phase that sends. Prints a line
-- for each.
package.path = "./?.lua;" .. package.path

local folder = require "spec.support.folder"
local free_port = require "spec.support.free_port"
local shell = require "spec.support.shell"
local socket = require "socket"
local support = require "spec.support.nginx"

local CALLS, PROBES = 20, 3000

local HTTP = [[
  init_by_lua_block {
    kafka = require "upstash.kafka"
    function call(method, ...)
      local client = kafka.new { url = "$server", timeout = 20000, retries = 1000, retry_delay = 50, retry_delay_max = 50 }
      client[method](client, ...)
    end
    producer = kafka.new { url = "$server" }:producer { topic = "t", overflow = "drop_oldest" }
  }
]]

local LOCATIONS = [[
  location = /produce { content_by_lua_block { call("produce", "t", ("x"):rep(1000)) } }
  location = /consume { content_by_lua_block { call("consume", "g", "i", "t", { timeout = 0 }) } }
  location = /send {
    return 200 "x";
    log_by_lua_block { for _ = 1, 100 do producer:send(nil, ("x"):rep(100)) end }
  }
]]

local SLOW = [[ location / { content_by_lua_block { ngx.sleep(5) ngx.print "[]" } } ]]

-- Starts calls that wait, or requests whose log phase sends; returns a function that ends them.
local function occupy(nginx, path)
  if path ~= "/send" then
    for _ = 1, CALLS do nginx:begin(path) end
    return function() end
  end
  local stop = folder.name()
  local load = shell.start(("%s spec/support/nginx_load.lua %d /send %s 0.003"):format(shell.lua, nginx.port, stop))
  return function()
    folder.write(stop, "")
    load:wait()
    load:remove()
    folder.remove(stop)
  end
end

local function measure(title, url, path)
  local nginx = support.start { http = HTTP, locations = LOCATIONS, values = { server = url } }
  local finish, times = occupy(nginx, path), {}
  for probe = 1, PROBES do
    times[probe] = nginx:get("/alive").seconds * 1000
    socket.sleep(0.0003)
  end
  finish()
  nginx:stop()
  table.sort(times)
  print(("  %-27s p50 %.2f  p99 %.2f  max %.2f ms  wanted p99 <= 10"):format(path:sub(2) .. ", server " .. title,
    times[PROBES / 2], times[PROBES * 0.99], times[PROBES]))
end

local hung = assert(socket.bind("127.0.0.1", 0, 1000))
local slow = support.start { locations = SLOW }
for _, path in ipairs { "/produce", "/consume", "/send" } do
  measure("hangs", "http://127.0.0.1:" .. select(2, hung:getsockname()), path)
  measure("refuses", "http://127.0.0.1:" .. free_port(), path)
  measure("takes 5 s", slow.url, path)
end
slow:stop()
