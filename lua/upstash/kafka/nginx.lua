--- What is different inside nginx: a call may wait in some phases only and through nginx's own sockets and timers,
-- and a worker that is told to end must not be held up.

local core = require "upstash.kafka.core"

local ngx = rawget(_G, "ngx")

local nginx = {}

--- Whether this is nginx (OpenResty, the Lua module of nginx, its stream module, the resty command).
nginx.inside = type(ngx) == "table" and type(ngx.config) == "table" and ngx.config.subsystem ~= nil
  and type(ngx.get_phase) == "function" and type(ngx.socket) == "table"

-- The phases in which Lua code cannot wait. Others may come with later versions: they are let through.
local CANNOT_WAIT = {
  init = true, init_worker = true, exit_worker = true, set = true, header_filter = true, body_filter = true,
  log = true, balancer = true, ssl_session_store = true,
}

--- The phase, where Lua code cannot wait; nil where it can.
function nginx.phase_without_waiting()
  local phase = ngx.get_phase()
  return CANNOT_WAIT[phase] and phase or nil
end

local PRODUCES = { produce = true, produce_many = true, webhook = true }

local function advice(method, phase)
  if phase == "init" then return "make the call in a timer that init_worker_by_lua starts" end
  if phase == "exit_worker" then return "make the call before the worker ends" end
  if PRODUCES[method] then return "send it with a client:producer, or make the call in ngx.timer.at" end
  return "make the call in ngx.timer.at"
end

--- Raises where a call cannot wait for its answer, and says what to do instead.
---@param method string
---@param level integer whose line to blame, as `error` takes it, seen from the caller
function nginx.check_phase(method, level)
  local phase = nginx.phase_without_waiting()
  if not phase then return end
  error(("client:%s cannot wait for an answer in %s_by_lua: %s"):format(method, phase, advice(method, phase)),
    level + 1)
end

--- Whether the worker has been told to end: by QUIT, or by a reload that has put another one in its place.
function nginx.exiting()
  return nginx.inside and ngx.worker.exiting()
end

--- Waits, and lets nginx do other work meanwhile.
function nginx.sleep(milliseconds)
  if not nginx.inside then return core.sleep(milliseconds) end
  ngx.sleep(milliseconds / 1000)
end

local SLICE = 250 -- milliseconds until a sleep looks whether the worker ends

--- The same, but it ends with the worker. Returns false then.
function nginx.sleep_until_exit(milliseconds)
  if not nginx.inside then
    core.sleep(milliseconds)
    return true
  end
  while milliseconds > 0 and not nginx.exiting() do
    nginx.sleep(math.min(milliseconds, SLICE))
    milliseconds = milliseconds - SLICE
  end
  return not nginx.exiting()
end

--- The number of this worker, from 0; nil elsewhere and in helper processes.
function nginx.worker()
  return nginx.inside and ngx.worker.id() or nil
end

return nginx
