--- JSON in values of messages. The encoder and decoder are core's, because lua-cjson changes
-- numbers. They follow lua-cjson's conventions. Where lua-cjson is installed, its sentinels and
-- settings are honoured, so it is loaded when the first value is encoded or decoded.

local core = require "upstash.kafka.core"

local json = {}

local encode, decode

local function load()
  local found, cjson = pcall(require, "cjson")
  encode, decode = core.json(found and cjson or nil)
end

--- Encodes a value. core calls this for the caller of a method.
---@param value any
---@return string? text
---@return string? reason why the value is not JSON
---@return string? path to the part that is not JSON, such as `.list[2]`
function json.encode(value)
  if not encode then load() end
  return encode(value)
end

--- Decodes a string.
---@param text string
---@return any? value `kafka.null` for null
---@return string? message where and why it is not JSON, or which number does not fit
---@return string? code of the error
function json.decode(text)
  if not decode then load() end
  return decode(text)
end

return json
