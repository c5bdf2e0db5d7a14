--- Puts the client together. A client is core's userdata, and its methods are in core.methods. This
-- module adds the methods that are written in Lua: the loops, and JSON in messages. Inside nginx it
-- replaces the methods that would block. types/client.lua describes them all.

local core = require "upstash.kafka.core"
local consumer = require "upstash.kafka.consumer"
local host = require "upstash.kafka.host"
local json = require "upstash.kafka.json"
local records = require "upstash.kafka.records"

---@type upstash.kafka.Client
local methods = core.methods

if host.inside then
  require("upstash.kafka.nginx.calls").install(methods)
  require("upstash.kafka.nginx.producer").install(methods, core.producer_methods)
end

--- A loop over the messages of a group, at least once. A message is finished when the loop asks for
-- the next one; finished messages are committed before the next poll and when the loop ends. On Lua
-- 5.4 leaving the loop by break, return or an error ends it; elsewhere call :close() on the second
-- value. The loop waits while a failure may pass, and raises any other as a
-- upstash.kafka.LoopFailure. Calls /consume, /commit and /delete-consumer; if the group starts at
-- the end, also /topics, /offsets, /committed and /consumers.
---@param options upstash.kafka.LoopOptions
---@return fun(state: upstash.kafka.Consumer): upstash.kafka.Message?
---@return upstash.kafka.Consumer state
---@return nil
---@return upstash.kafka.Consumer closing
methods.messages = consumer.messages

--- The same loop, over the messages of one poll at a time. A batch is finished as a whole.
---@param options upstash.kafka.LoopOptions
---@return fun(state: upstash.kafka.Consumer): upstash.kafka.Message[]?
---@return upstash.kafka.Consumer state
---@return nil
---@return upstash.kafka.Consumer closing
methods.batches = consumer.batches

--- A loop over the messages of one partition, from an offset or a time on, without a group. Raises
-- if the offset is below the first one that is kept. Calls /fetch, and /offsets unless every
-- position is a number.
---@param options upstash.kafka.RecordsOptions
---@return fun(state: upstash.kafka.Records): upstash.kafka.Message?
---@return upstash.kafka.Records state
---@return nil
---@return upstash.kafka.Records closing
methods.records = records.records

local function not_json(text, code)
  return nil, text, { error = text, code = code, retriable = false }
end

--- Decodes the value from JSON: `message:json()`.
---@param message upstash.kafka.Message
---@return any? value kafka.null for null
---@return string? message when the value is not JSON, or holds a number that does not fit this Lua's numbers
---@return upstash.kafka.Details? details
function core.message_methods.json(message)
  if message.value == nil then return not_json("the message has no value: it is a tombstone", "bad_response") end
  local value, text, code = json.decode(message.value)
  if value ~= nil then return value end
  return not_json((code == "integer_range" and "the value: " or "the value is not JSON: ") .. text, code)
end

--- Returns the value of the last header with that name, as Kafka's lastHeader does:
--- `message:header("lang")`.
---@param message upstash.kafka.Message
---@param name string in the same letter case
---@return string? value nil if the message has no such header
function core.message_methods.header(message, name)
  if type(name) ~= "string" then
    error(("bad argument #1 to 'header' (name: string expected, got %s)"):format(type(name)), 2)
  end
  for index = #message.headers, 1, -1 do
    if message.headers[index].key == name then return message.headers[index].value end
  end
  return nil
end

return core
