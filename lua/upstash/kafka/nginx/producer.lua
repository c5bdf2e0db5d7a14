--- Producers inside nginx. `send` is core's and works in every phase. `flush` and `close` wait with
-- nginx's timers if Lua may wait in the phase, and block in init, init_worker and exit_worker,
-- where nothing else runs.

local core = require "upstash.kafka.core"
local host = require "upstash.kafka.host"
local options = require "upstash.kafka.options"
local phase = require "upstash.kafka.nginx.phase"

local FLUSH_TIMEOUT = 2000 -- milliseconds, core's default
local LONGEST = 86400000
local PAUSE_MAX = 20 -- milliseconds between two checks

local MAY_BLOCK = { init = true, init_worker = true, exit_worker = true }

local REFUSAL = "producer:%s cannot wait in %s_by_lua: sent messages are delivered in the background; "
  .. "call it in ngx.timer.at"

-- { producer = { flush =, close = } }: the default timeouts.
local timeouts = setmetatable({}, { __mode = "k" })

local function check_timeout(method, timeout, level)
  if timeout == nil or type(timeout) == "number" and timeout % 1 == 0 and timeout >= 0 and timeout <= LONGEST then
    return
  end
  local text = ("timeout: integer from 0 to %d expected, got %s"):format(LONGEST, tostring(timeout))
  options.refuse(method, text, level + 1)
end

-- Waits until everything before the mark is delivered or dropped. Returns whether it was in time.
local function await(settled, producer, mark, timeout)
  local deadline, pause = core.now() + timeout, 1
  while not settled(producer, mark) do
    local left = deadline - core.now()
    if left <= 0 then return false end
    host.sleep(math.max(1, math.min(pause, left)))
    pause = math.min(pause * 2, PAUSE_MAX)
  end
  return true
end

-- Whether the method is to block in this phase. Raises if it may neither block nor wait.
local function blocks(method, timeout, level)
  check_timeout(method, timeout, level + 1)
  local current = phase.without_waiting()
  if not current or MAY_BLOCK[current] then return current ~= nil end
  error(REFUSAL:format(method, current), level + 1)
end

-- Each of these returns the method that replaces one of core's.

local function producer_method(make)
  return function(client, given)
    options.check_client("producer", client, 2)
    if type(given) == "table" and given.overflow == "block" then
      options.refuse("producer", "overflow: 'block' would block nginx, 'error' or 'drop_oldest' expected", 2)
    end
    local fine, producer = pcall(make, client, given)
    if not fine then error(producer, 2) end
    local flush_timeout = type(given) == "table" and given.flush_timeout or core.null
    timeouts[producer] = {
      flush = client:settings().timeout, close = flush_timeout == core.null and FLUSH_TIMEOUT or flush_timeout,
    }
    return producer
  end
end

local function flush_method(flush, hurry, settled)
  return function(producer, timeout)
    if blocks("flush", timeout, 2) then return flush(producer, timeout) end
    local fine, mark = pcall(hurry, producer)
    if not fine then error(mark, 2) end
    timeout = timeout or timeouts[producer].flush
    await(settled, producer, mark, timeout)
    return flush(producer, 0, timeout) -- does not wait any more
  end
end

local function close_method(close, hurry, settled)
  return function(producer, timeout)
    if blocks("close", timeout, 2) then return close(producer, timeout) end
    local open, mark = pcall(hurry, producer)
    if not open then return close(producer, 0) end
    timeout = timeout or timeouts[producer].close
    await(settled, producer, mark, timeout)
    return close(producer, 0, timeout) -- does not wait: the time is up, or nothing is left
  end
end

local producer = {}

--- Replaces the methods that block.
---@param client_methods table<string, function>
---@param methods table<string, function> of producers
function producer.install(client_methods, methods)
  local hurry, settled = methods.hurry, methods.settled
  client_methods.producer = producer_method(client_methods.producer)
  methods.flush = flush_method(methods.flush, hurry, settled)
  methods.close = close_method(methods.close, hurry, settled)
end

return producer
