--- The phases of nginx in which Lua code cannot wait for the network.

local host = require "upstash.kafka.host"

local phase = {}

-- A phase that a later version of nginx adds is allowed.
local CANNOT_WAIT = {
  init = true, init_worker = true, exit_worker = true, set = true, header_filter = true, body_filter = true,
  log = true, balancer = true, ssl_session_store = true,
}

--- The current phase if Lua code cannot wait in it, nil if it can.
---@return string?
function phase.without_waiting()
  local current = host.phase()
  return CANNOT_WAIT[current] and current or nil
end

local PRODUCES = { produce = true, produce_many = true, webhook = true }

local function advice(method, current)
  if current == "init" then return "make the call in a timer that init_worker_by_lua starts" end
  if current == "exit_worker" then return "make the call before the worker ends" end
  if PRODUCES[method] then return "send it with a client:producer, or make the call in ngx.timer.at" end
  return "make the call in ngx.timer.at"
end

--- Raises if the current phase cannot wait for the answer to a call, and says what to do instead.
---@param method string
---@param level integer whose line to blame, as `error` takes it, seen from the caller
function phase.check(method, level)
  local current = phase.without_waiting()
  if not current then return end
  error(("client:%s cannot wait for an answer in %s_by_lua: %s"):format(method, current, advice(method, current)),
    level + 1)
end

return phase
