--- The client, as far as it is written in Lua: the loops, and JSON in messages.
--
-- A client is core's userdata. Its methods stand in core.methods, and those below are added there, once. All that
-- the methods return, take and raise is annotated here, the ones that core brings included.

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

--- A loop over the messages of a group, at least once. A message counts as finished when the loop asks for the
-- next one; finished messages are committed before the next consume and when the loop ends. On Lua 5.4 that
-- includes break, return and errors in the body; elsewhere call :close() on the second value after a
-- break. Failures that pass are waited out; others are raised, as an object whose tostring is the text and
-- which has the fields of Details. Speaks to /consume, /commit and /delete-consumer, and where a group starts at the
-- end also to /topics, /offsets, /committed and /consumers.
---@param options upstash.kafka.LoopOptions
---@return fun(state: upstash.kafka.Consumer): upstash.kafka.Message?
---@return upstash.kafka.Consumer state
---@return nil
---@return upstash.kafka.Consumer closing
methods.messages = consumer.messages

--- The same, with the messages of one consume at a time: a batch is finished as a whole.
---@param options upstash.kafka.LoopOptions
---@return fun(state: upstash.kafka.Consumer): upstash.kafka.Message[]?
---@return upstash.kafka.Consumer state
---@return nil
---@return upstash.kafka.Consumer closing
methods.batches = consumer.batches

--- A loop over the messages of one partition, from an offset or time on, without a group. An offset below the
-- first one kept raises. Speaks to /fetch, and to /offsets for what is no number.
---@param options upstash.kafka.RecordsOptions
---@return fun(state: upstash.kafka.Records): upstash.kafka.Message?
---@return upstash.kafka.Records state
---@return nil
---@return upstash.kafka.Records closing
methods.records = records.records

local function not_json(text, code)
  return nil, text, { error = text, code = code, retriable = false }
end

--- The value, decoded from JSON: `message:json()`.
---@param message upstash.kafka.Message
---@return any? value kafka.null for null
---@return string? text when the value is not JSON, or holds a number that does not fit this Lua's
---@return upstash.kafka.Details? details
function core.message_methods.json(message)
  if message.value == nil then return not_json("the message has no value, it is a tombstone", "bad_response") end
  local value, text, code = json.decode(message.value)
  if value ~= nil then return value end
  return not_json((code == "integer_range" and "the value: " or "the value is not JSON: ") .. text, code)
end

return core
