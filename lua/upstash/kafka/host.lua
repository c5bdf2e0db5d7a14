--- Where the client runs: in a plain Lua, or inside nginx. The choice is made once, when this
-- module is loaded. Everything else uses the host and does not know which one it is.

local core = require "upstash.kafka.core"

local ngx = rawget(_G, "ngx")

---@class upstash.kafka.Host
---@field inside boolean whether this is nginx (OpenResty, nginx's Lua or stream module, resty)
---@field poll_max number the longest poll of a loop, in milliseconds
---@field environment_note string what a message about a missing environment variable adds
---@field until_exit table<string, function> methods of a client for loops, which give a call up soon
--- after the worker must exit; for a method that is absent, loops use the client's
---@field exiting fun(): boolean whether the worker must exit, because of QUIT or a reload
---@field sleep fun(milliseconds: number)
---@field sleep_until_exit fun(milliseconds: number): boolean like sleep, but ends with the worker;
--- returns false then
---@field worker fun(): integer? the number of the worker, from 0; nil where there is none
---@field phase fun(): string? the phase of nginx; nil elsewhere

---@type upstash.kafka.Host
local plain = {
  inside = false,
  poll_max = math.huge,
  environment_note = "",
  until_exit = {},
  exiting = function() return false end,
  sleep = function(milliseconds) core.sleep(milliseconds) end,
  worker = function() return nil end,
  phase = function() return nil end,
}

function plain.sleep_until_exit(milliseconds)
  core.sleep(milliseconds)
  return true
end

---@type upstash.kafka.Host
local nginx = {
  inside = true,
  poll_max = 1000, -- a worker that must exit waits for the poll under way
  environment_note = " (nginx hides it without an env directive)",
  until_exit = {},
  exiting = function() return ngx.worker.exiting() end,
  sleep = function(milliseconds) ngx.sleep(milliseconds / 1000) end,
  worker = function() return ngx.worker.id() end, -- nil in helper processes
  phase = function() return ngx.get_phase() end,
}

local SLICE = 250 -- milliseconds between two checks whether the worker must exit

function nginx.sleep_until_exit(milliseconds)
  while milliseconds > 0 and not nginx.exiting() do
    nginx.sleep(math.min(milliseconds, SLICE))
    milliseconds = milliseconds - SLICE
  end
  return not nginx.exiting()
end

local function is_nginx()
  return type(ngx) == "table" and type(ngx.config) == "table" and ngx.config.subsystem ~= nil
    and type(ngx.get_phase) == "function" and type(ngx.socket) == "table"
end

return is_nginx() and nginx or plain
