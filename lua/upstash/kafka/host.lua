--- Where the client runs: in a plain Lua, or inside nginx. The choice is made once, when this
-- module is loaded. Everything else uses the host and does not know which one it is.

local core = require "upstash.kafka.core"

local ngx = rawget(_G, "ngx")

---@class upstash.kafka.Host
---@field inside boolean whether this is nginx (OpenResty, nginx's Lua or stream module, resty)
---@field poll_max number the longest poll of a loop, in milliseconds
---@field max_response_bytes integer? the default of that option; nil: core's
---@field environment_note string what a message about a missing environment variable adds
---@field pcall fun(client: upstash.kafka.Client, wait: upstash.kafka.LoopWait, method: string, ...): boolean, any, ...
--- like pcall of the client's method, which gives up soon after the wait must end
---@field sleep fun(milliseconds: number)
---@field sleep_until fun(milliseconds: number, wait: upstash.kafka.LoopWait) ends when the wait must end, too
---@field watch_signals nil|fun(names: string[]): upstash.kafka.Signals?, string?, table?
--- nil where signals are not for the program to take
---@field exiting fun(): boolean whether the worker must exit, because of QUIT or a reload
---@field worker fun(): integer? the number of the worker, from 0; nil where there is none
---@field phase fun(): string? the phase of nginx; nil elsewhere

--- When a call or a sleep must end early.
---@class upstash.kafka.LoopWait
---@field stopping fun(): boolean
---@field signals upstash.kafka.Signals? those that end it

---@type upstash.kafka.Host
local plain = {
  inside = false,
  poll_max = math.huge,
  environment_note = "",
  sleep = function(milliseconds) core.sleep(milliseconds) end,
  watch_signals = function(names) return core.watch_signals(names) end,
  exiting = function() return false end,
  worker = function() return nil end,
  phase = function() return nil end,
}

-- Only a signal can end a blocking call: no other code of this thread runs meanwhile.
function plain.pcall(client, wait, method, ...)
  local signals = wait.signals
  if signals then return pcall(signals.call, signals, client[method], client, ...) end
  return pcall(client[method], client, ...)
end

function plain.sleep_until(milliseconds, wait)
  if wait.signals then return wait.signals:sleep(milliseconds) end
  core.sleep(milliseconds)
end

---@type upstash.kafka.Host
local nginx = {
  inside = true,
  max_response_bytes = 8 * 1024 * 1024, -- decoding one holds up all requests of the worker
  poll_max = 500, -- a loop that must end waits for the poll under way
  environment_note = " (nginx hides it without an env directive)",
  sleep = function(milliseconds) ngx.sleep(milliseconds / 1000) end,
  exiting = function() return ngx.worker.exiting() end,
  worker = function() return ngx.worker.id() end, -- nil in helper processes
  phase = function() return ngx.get_phase() end,
}

-- Filled in by nginx/calls.lua: methods that take a client, a wait, and their arguments.
nginx.methods = {}

function nginx.pcall(client, wait, method, ...)
  return pcall(nginx.methods[method], client, wait, ...)
end

local SLICE = 250 -- milliseconds between two checks whether the wait must end

function nginx.sleep_until(milliseconds, wait)
  while milliseconds > 0 and not wait.stopping() do
    nginx.sleep(math.min(milliseconds, SLICE))
    milliseconds = milliseconds - SLICE
  end
end

local function is_nginx()
  return type(ngx) == "table" and type(ngx.config) == "table" and ngx.config.subsystem ~= nil
    and type(ngx.get_phase) == "function" and type(ngx.socket) == "table"
end

return is_nginx() and nginx or plain
