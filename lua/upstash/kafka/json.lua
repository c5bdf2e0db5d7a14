--- JSON values through lua-cjson, which is loaded when the first one is met.
--
-- The instance is our own, so that a program's settings of lua-cjson and ours leave each other alone.

local json = {}

local MISSING = "JSON values need lua-cjson: luarocks install lua-cjson"

local instance

-- lua-cjson's own instance, or nil where it is not installed.
local function load()
  if instance then return instance end
  local found, cjson = pcall(require, "cjson")
  if not found then return nil end
  instance = cjson.new()
  instance.decode_invalid_numbers(false)
  return instance
end

--- Encodes a value; what cannot be JSON is misuse. core calls it for the caller of a method, who is to
-- blame: two calls up.
---@param value any
---@return string text
function json.encode(value)
  local codec = load()
  if not codec then error(MISSING, 3) end
  local fine, text = pcall(codec.encode, value)
  if not fine then error("value: " .. text, 3) end
  return text
end

--- Decodes a text.
---@param text string
---@return any? value `kafka.null` for null
---@return string? message where and why it is not JSON
function json.decode(text)
  local codec = load()
  if not codec then error(MISSING, 3) end
  local fine, value = pcall(codec.decode, text)
  if not fine then return nil, value end
  return value
end

return json
