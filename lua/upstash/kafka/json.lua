--- JSON values, by core's own encoder and decoder, which know numbers better than lua-cjson does. They follow its
-- conventions, and so it is loaded when the first value is met.

local core = require "upstash.kafka.core"

local json = {}

local MISSING = "JSON values need lua-cjson: luarocks install lua-cjson"

local encode, decode

-- Whether lua-cjson is installed.
local function load()
  local found, cjson = pcall(require, "cjson")
  if found then encode, decode = core.json(cjson) end
  return found
end

--- Encodes a value. core calls it for the caller of a method, who is to blame where lua-cjson is missing: two calls up.
---@param value any
---@return string? text
---@return string? reason why the value cannot be JSON
---@return string? path to what is not JSON, as Lua writes it behind the name of the value
function json.encode(value)
  if not encode and not load() then error(MISSING, 3) end
  return encode(value)
end

--- Decodes a text.
---@param text string
---@return any? value `kafka.null` for null
---@return string? message where and why it is not JSON, or which number does not fit
---@return string? code of the error
function json.decode(text)
  if not decode and not load() then error(MISSING, 3) end
  return decode(text)
end

return json
