--- JSON in values of messages. The encoder and decoder are core's, because lua-cjson changes
-- numbers. They follow lua-cjson's conventions, so it is loaded when the first value is encoded or
-- decoded.

local core = require "upstash.kafka.core"

local json = {}

local MISSING = "JSON values need lua-cjson: luarocks install lua-cjson"

local encode, decode

-- Returns whether lua-cjson is installed.
local function load()
  local found, cjson = pcall(require, "cjson")
  if found then encode, decode = core.json(cjson) end
  return found
end

--- Encodes a value. core calls this for the caller of a method. If lua-cjson is missing, that
-- caller is blamed, two calls up.
---@param value any
---@return string? text
---@return string? reason why the value is not JSON
---@return string? path to the part that is not JSON, such as `.list[2]`
function json.encode(value)
  if not encode and not load() then error(MISSING, 3) end
  return encode(value)
end

--- Decodes a string.
---@param text string
---@return any? value `kafka.null` for null
---@return string? message where and why it is not JSON, or which number does not fit
---@return string? code of the error
function json.decode(text)
  if not decode and not load() then error(MISSING, 3) end
  return decode(text)
end

return json
