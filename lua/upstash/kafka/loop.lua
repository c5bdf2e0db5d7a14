--- What the loops over consume and over fetch share: calls that are tried again, the end by idleness, errors.
--
-- A loop is a table; its iterator is a Lua function, so that it can yield. Inside, failures are raised:
-- a failure object for what the network or the server caused, a text for misuse. `loop.guard` turns
-- both into an error of the line that asked for the next message, after the loop is closed.

local core = require "upstash.kafka.core"
local host = require "upstash.kafka.host"

local loop = {}

-- What a loop raises when a call fails for good: upstash.kafka.LoopFailure.
local Failure = {}
Failure.__index = Failure
Failure.__tostring = function(failure) return failure.error end

--- Raises what a call returned after nil.
---@param message string
---@param details table
function loop.raise(message, details)
  local failure = { error = message }
  for key, value in pairs(details) do failure[key] = value end
  failure.error, failure.again = message, nil -- the loop itself has seen to what comes again
  error(setmetatable(failure, Failure), 0)
end

--- Calls a method of the client; misuse is raised without a position.
---@return any result, string? message, table? details
function loop.call(client, method, ...)
  local fine, result, message, details = pcall(host.until_exit[method] or client[method], client, ...)
  if not fine then error(result, 0) end
  return result, message, details
end

--- Whether the loop has to end because its worker of nginx does.
loop.stopping = host.exiting

local STOP = {} -- raised to leave a loop without a failure

--- Leaves the loop, from any depth, when it has to end.
function loop.stop_in_time()
  if loop.stopping() then error(STOP, 0) end
end

-- The client's own limit of attempts has been used up when a call returns; a loop goes on.
local ENDLESS = { retries = 1000 }

--- Waits before the next attempt. Raises instead when the failure is not one that passes, or when the
-- deadline (milliseconds of core.now, nil = never) has come: an end for lack of messages would be a lie.
function loop.back_off(attempt, message, details, deadline)
  loop.stop_in_time()
  local delay = details.retriable and core.retry_delay(math.min(attempt, 20), details, ENDLESS)
  if not delay then loop.raise(message, details) end
  if deadline then
    local left = deadline - core.now()
    if left <= 0 then loop.raise(message, details) end
    delay = math.min(delay, left)
  end
  host.sleep_until_exit(delay)
  loop.stop_in_time()
end

-- Answers that arrived and cannot be read: perhaps on account of one of their messages.
local UNREADABLE = { response_too_large = true, integer_range = true, bad_response = true }

--- Whether the answer may be read when it has fewer messages.
---@return boolean
function loop.unreadable(details)
  return UNREADABLE[details.code] ~= nil
end

--- Whether it is known that a message is at fault, and not the response as a whole.
---@return boolean
function loop.blames_message(message, details)
  return details.code ~= "bad_response" or details.position ~= nil or message:find "^element %d" ~= nil
end

--- Notes the last message of a batch that could be read in `state.last_read`.
function loop.note_read(state, messages)
  local message = messages[#messages]
  if not message then return end
  state.last_read = { topic = message.topic, partition = message.partition, offset = message.offset }
end

--- Raises for an answer of one message that cannot be read.
function loop.raise_unreadable(state, message, details)
  local text, last = message, state.last_read
  if last and not details.position then
    details.after = last
    text = ('%s (after topic "%s", partition %d, offset %d)'):format(text, last.topic, last.partition, last.offset)
  end
  local whole = not loop.blames_message(message, details)
  text = text .. (whole and ": not even a response of one message can be read" or ": this message cannot be read")
  if details.code == "response_too_large" then text = text .. "; raise max_response_bytes" end
  if details.position then text = text .. ", or go on behind it" end
  loop.raise(text, details)
end

local READ_IN_A_ROW = 8 -- answers, before larger ones are asked for again

--- After an answer of up to `asked` messages that could not be read: sets `state.narrow`, how many to ask for next.
function loop.narrow(state, asked)
  state.narrow, state.read = math.max(1, math.floor(asked / 2)), 0
end

--- After an answer that could be read; `most` is what is asked for when all is well.
function loop.widen(state, most)
  if not state.narrow then return end
  state.read = state.read + 1
  if state.read < READ_IN_A_ROW then return end
  state.narrow, state.read = state.narrow * 2 < most and state.narrow * 2 or nil, 0
end

--- Calls a method until it succeeds or fails in a way that does not pass. `accept` is a code that is
-- returned (as nil, message, details) instead of raised, or a function that says whether the details are; or nil.
function loop.insist(client, deadline, accept, method, ...)
  local attempt = 0
  while true do
    local result, message, details = loop.call(client, method, ...)
    if result ~= nil then return result end
    if type(accept) == "function" and accept(details) or details.code == accept then return nil, message, details end
    attempt = attempt + 1
    loop.back_off(attempt, message, details, deadline)
  end
end

--- When a loop that has been waiting since now gives up: milliseconds of core.now, or nil.
function loop.deadline(idle)
  return idle and core.now() + idle
end

--- How long the next poll may wait, and whether it is the last one.
function loop.poll_time(timeout, deadline)
  timeout = math.min(timeout, host.poll_max)
  if not deadline then return timeout, false end
  local left = math.max(0, deadline - core.now())
  return math.min(timeout, left), left <= timeout
end

--- Runs one step of a loop. Returns what the step returns; closes the loop when it has to end. On a failure closes it
-- and raises, blaming the line that called the iterator, which is the caller of the caller.
function loop.guard(state, step)
  local fine, result = pcall(step, state)
  if fine then return result end
  pcall(state.close, state)
  if result ~= STOP then error(result, 3) end
end

--- The class of a loop's state: `:close()` ends the loop, and so does leaving it on Lua 5.4.
---@return table
function loop.class()
  local class = {}
  class.__index = class
  class.__close = function(state) pcall(state.close, state) end
  return class
end

return loop
