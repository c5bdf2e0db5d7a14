--- Checks option tables: names the field that is wrong and blames the line of the caller.

local null = require("upstash.kafka.core").null

local options = {}

local function is_integer(value)
  return type(value) == "number" and value % 1 == 0
end

local function name_of(value)
  if type(value) == "number" then return tostring(value) end
  return type(value)
end

local function is_list_of_names(value)
  if type(value) ~= "table" or #value == 0 then return false end
  for index = 1, #value do
    if type(value[index]) ~= "string" or value[index] == "" then return false end
  end
  return true
end

local function is_list_of_words(value, words)
  if not is_list_of_names(value) then return false end
  for index = 1, #value do
    if not words[value[index]] then return false end
  end
  return true
end

--- Whether a value is a consumed message, or says as much about its place.
---@return boolean
function options.is_message(value)
  return type(value) == "table" and type(value.topic) == "string" and is_integer(value.partition)
    and is_integer(value.offset)
end

local function is_position(value, words, messages)
  if is_integer(value) then return value >= 0 end
  if type(value) == "string" then return words[value] == true end
  if type(value) ~= "table" then return false end
  if messages and options.is_message(value) then return true end
  return next(value) == "timestamp" and next(value, "timestamp") == nil
    and is_integer(value.timestamp) and value.timestamp >= 0
end

-- For each kind, what it expects in words, and whether a value fits. `rule` is the row of the
-- schema.
local kinds = {
  name = {
    expects = function() return "non-empty string" end,
    fits = function(value) return type(value) == "string" and value ~= "" end,
  },
  names = {
    expects = function() return "list of non-empty strings" end,
    fits = is_list_of_names,
  },
  integer = {
    expects = function(rule) return ("integer >= %d"):format(rule.min) end,
    fits = function(value, rule) return is_integer(value) and value >= rule.min end,
  },
  word = {
    expects = function(rule) return rule.expects end,
    fits = function(value, rule) return rule.words[value] == true end,
  },
  signals = {
    expects = function(rule) return rule.expects end,
    fits = function(value, rule) return type(value) == "boolean" or is_list_of_words(value, rule.words) end,
  },
  callback = {
    expects = function() return "function" end,
    fits = function(value) return type(value) == "function" end,
  },
  position = {
    expects = function(rule) return rule.expects end,
    fits = function(value, rule) return is_position(value, rule.words, rule.messages) end,
  },
}

-- Sorted, so that the same mistake always gives the same message.
local function sorted_keys(schema)
  local keys = {}
  for key in pairs(schema) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function fault(given, schema)
  if type(given) ~= "table" then return "table expected, got " .. name_of(given) end
  for key in pairs(given) do
    if not schema[key] then return ("unknown option '%s'"):format(tostring(key)) end
  end
  for _, key in ipairs(sorted_keys(schema)) do
    local rule, value = schema[key], given[key]
    if value == null then value = nil end
    local kind = kinds[rule.kind]
    if value == nil and rule.required or value ~= nil and not kind.fits(value, rule) then
      local got = type(value) == "string" and ("'%s'"):format(value) or name_of(value)
      return ("%s: %s expected, got %s"):format(key, kind.expects(rule), got)
    end
  end
end

-- null counts as absent.
local function without_nulls(given)
  local kept = {}
  for key, value in pairs(given) do
    if value ~= null then kept[key] = value end
  end
  return kept
end

--- Raises if `given` does not fit the schema: { field = { kind =, required =, … } }.
---@param method string the name of the method, for the message
---@param given any
---@param schema table<string, table>
---@param level integer whose line to blame, as in `error`, seen from the caller
---@return table options a copy without the options that are null
function options.check(method, given, schema, level)
  local text = fault(given, schema)
  if text then error(("bad argument #1 to '%s' (%s)"):format(method, text), level + 1) end
  return without_nulls(given)
end

--- Raises an error about the options of a method, in the form of `options.check`.
---@param method string
---@param text string what is wrong: "FIELD: X expected"
---@param level integer as in `options.check`
function options.refuse(method, text, level)
  error(("bad argument #1 to '%s' (%s)"):format(method, text), level + 1)
end

--- Raises if `client` is not a client, because a method was called with a dot instead of a colon.
---@param method string
---@param client any
---@param level integer as in `options.check`
function options.check_client(method, client, level)
  if type(client) ~= "userdata" then
    error(("calling '%s' on %s: write client:%s{…}"):format(method, type(client), method), level + 1)
  end
end

return options
