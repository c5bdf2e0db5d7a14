--- What the loops over /consume and /fetch share: retried calls, idle time, failures.
--
-- A loop is a table. Its iterator is a Lua function, because a C function cannot yield in nginx.
-- The functions below raise failures: an object if the network or the server caused it, a string
-- for misuse. `loop.guard` closes the loop, then raises either as an error of the line that asked
-- for the message.

local core = require "upstash.kafka.core"
local host = require "upstash.kafka.host"
local options = require "upstash.kafka.options"

local loop = {}

-- What a loop raises when a call fails for good: upstash.kafka.LoopFailure.
local Failure = { __tostring = function(failure) return failure.error end }

--- Raises a failure from what a call returned after nil.
---@param message string
---@param details table
function loop.raise(message, details)
  local failure = { error = message }
  for key, value in pairs(details) do failure[key] = value end
  failure.error, failure.again = message, nil -- the loop gets the messages again
  error(setmetatable(failure, Failure), 0)
end

-- Calls a method and gives up when `wait` must end. Raises misuse without the position in this
-- file.
local function call(state, wait, method, ...)
  local fine, result, message, details = host.pcall(state.client, wait, method, ...)
  if not fine then error(result, 0) end
  if result ~= nil then state.waits_for = nil end
  return result, message, details
end

--- Calls a method of the loop's client. Gives up soon after the loop must end.
---@return any result, string? message, table? details
function loop.call(state, method, ...)
  return call(state, state.wait, method, ...)
end

--- Options of a request that says nothing about the last batch: it stays outstanding, so its
-- partitions do not move.
loop.KEEPS_BATCH = { ack = "none" }

-- A loop that ends still commits; only the end of its worker hurries it.
local LEAVING = { stopping = host.exiting }

--- Makes a call of a loop that ends.
---@return any result, string? message, table? details
function loop.call_last(state, method, ...)
  return call(state, LEAVING, method, ...)
end

--- Whether the loop must end: because of `stop`, a signal, or the end of its worker.
---@return boolean
function loop.stopping(state)
  if not state.reason and state.wait.signals then state.reason = state.wait.signals:arrived() end
  return state.reason ~= nil or host.exiting()
end

local STOP = {} -- raised to leave a loop without a failure

--- Leaves the loop, from any depth, if it must end.
function loop.stop_in_time(state)
  if loop.stopping(state) then error(STOP, 0) end
end

-- Tells the program that the loop waits, once for each cause, until a call succeeds.
local function report_wait(state, message, details)
  if not state.on_wait or state.waits_for == details.code then return end
  state.waits_for = details.code
  state.on_wait(message, details)
end

-- A call has used up the client's retries when it returns; a loop continues.
local ENDLESS = { retries = 1000 }

--- Waits before the next attempt. Raises instead if the failure cannot pass, or at the deadline
-- (milliseconds of core.now, nil = never): ending as if idle would hide the failure.
function loop.back_off(state, attempt, message, details, deadline)
  loop.stop_in_time(state)
  local delay = details.retriable and core.retry_delay(math.min(attempt, 20), details, ENDLESS)
  if not delay then loop.raise(message, details) end
  if deadline then
    local left = deadline - core.now()
    if left <= 0 then loop.raise(message, details) end
    delay = math.min(delay, left)
  end
  report_wait(state, message, details)
  host.sleep_until(delay, state.wait)
  loop.stop_in_time(state)
end

-- Responses that arrived and cannot be read, perhaps because of one of their messages.
local UNREADABLE = { response_too_large = true, integer_range = true, bad_response = true }

--- Whether a response with fewer messages might be read.
---@return boolean
function loop.unreadable(details)
  return UNREADABLE[details.code] ~= nil
end

--- Whether one message is known to be at fault, and not the whole response.
---@return boolean
function loop.blames_message(message, details)
  return details.code ~= "bad_response" or details.position ~= nil or message:find "^element %d" ~= nil
end

--- Stores the position of the last message of a batch in `state.last_read`.
function loop.note_read(state, messages)
  local message = messages[#messages]
  if not message then return end
  state.last_read = { topic = message.topic, partition = message.partition, offset = message.offset }
end

--- Raises for a response of one message that cannot be read.
function loop.raise_unreadable(state, message, details)
  local text, last = message, state.last_read
  if last and not details.position then
    details.after = last
    text = ('%s (after topic "%s", partition %d, offset %d)'):format(text, last.topic, last.partition, last.offset)
  end
  local whole = not loop.blames_message(message, details)
  text = text .. (whole and ": not even a response of one message can be read" or ": this message cannot be read")
  if details.code == "response_too_large" then text = text .. "; raise max_response_bytes" end
  if details.position then text = text .. ", or continue after it" end
  loop.raise(text, details)
end

local READ_IN_A_ROW = 8 -- responses, before the loop asks for larger ones

--- Call this after a response of up to `asked` messages could not be read. Halves that number and
-- stores it in `state.narrow`.
function loop.narrow(state, asked)
  state.narrow, state.read = math.max(1, math.floor(asked / 2)), 0
end

--- Call this after a response was read. `most` is how many messages the loop normally asks for.
function loop.widen(state, most)
  if not state.narrow then return end
  state.read = state.read + 1
  if state.read < READ_IN_A_ROW then return end
  state.narrow, state.read = state.narrow * 2 < most and state.narrow * 2 or nil, 0
end

--- Calls a method until it succeeds, and raises if it fails for good. `accept` names failures that
-- are returned as nil, message, details: an error code, a function of the details, or nil for none.
function loop.retry_until(state, deadline, accept, method, ...)
  local attempt = 0
  while true do
    local result, message, details = loop.call(state, method, ...)
    if result ~= nil then return result, message, details end
    if type(accept) == "function" and accept(details) or details.code == accept then return nil, message, details end
    attempt = attempt + 1
    loop.back_off(state, attempt, message, details, deadline)
  end
end

--- When a loop that starts to wait now is idle for too long: milliseconds of core.now, nil for
-- never.
function loop.deadline(idle)
  return idle and core.now() + idle
end

--- Returns how long the next poll may wait, and whether it is the last one.
function loop.poll_time(timeout, deadline)
  timeout = math.min(timeout, host.poll_max)
  if not deadline then return timeout, false end
  local left = math.max(0, deadline - core.now())
  return math.min(timeout, left), left <= timeout
end

-- Closes a loop that must end. Raises if that fails, unless the worker has no time left: then the
-- messages come again.
local function finish(state)
  local fine, done, message, details = pcall(state.close, state)
  if host.exiting() then return end
  if not fine then error(done, 0) end
  if not done then loop.raise(message, details) end
end

--- Runs one step of a loop and returns its result. If the loop must end, closes it. On a failure
-- closes it and raises, blaming the line that called the iterator: the caller of the caller.
function loop.guard(state, step)
  local fine, result = pcall(step, state)
  if fine then return result end
  if result == STOP then
    fine, result = pcall(finish, state)
    if fine then return nil end
  end
  pcall(state.close, state)
  error(result, 3)
end

local SIGNALS = { "INT", "TERM" } -- that stop_on_signal = true stands for

--- What `options.check` knows as stop_on_signal.
loop.SIGNALS_RULE = {
  kind = "signals",
  words = { INT = true, TERM = true, HUP = true, QUIT = true, USR1 = true, USR2 = true },
  expects = "boolean or list of INT, TERM, HUP, QUIT, USR1 and USR2",
}

--- Starts a new loop: it has a wait, and watches the signals that its options name. Raises if they
-- cannot be watched.
---@param state table
---@param method string the method of a client that starts it
---@param asked boolean|string[]|nil stop_on_signal
---@param level integer as in `options.check`
function loop.begin(state, method, asked, level)
  state.wait = { stopping = function() return loop.stopping(state) end }
  if not asked then return end
  if not host.watch_signals then
    options.refuse(method, "stop_on_signal: nginx takes the signals; a loop ends with its worker, or by loop:stop()",
      level + 1)
  end
  local signals, message, details = host.watch_signals(asked == true and SIGNALS or asked)
  if not signals then loop.raise(message, details) end
  state.wait.signals = signals
end

--- Ends the watch of a loop's signals, once.
function loop.forget_signals(state)
  loop.stopping(state) -- keeps the name of a signal that has arrived
  local signals = state.wait.signals
  state.wait.signals = nil
  if signals then signals:close() end
end

--- Makes a class for the state of a loop. `:close()` ends the loop; on Lua 5.4 leaving it does too.
---@return table
function loop.class()
  local class = {}
  class.__index = class
  class.__close = function(state) pcall(state.close, state) end

  -- Makes the loop end after the message or batch in hand. Returns at once. May be called from
  -- anywhere: the body, another coroutine, a handler of signals, another timer of nginx.
  function class.stop(state)
    state.reason = state.reason or true
  end

  -- Returns why the loop has ended or must end: the name of a signal, or true after `stop` and in a
  -- worker that exits; false otherwise.
  function class.stopped(state)
    return loop.stopping(state) and (state.reason or true)
  end

  return class
end

return loop
