--- Messages as text and as JSON, one a line, and progress for people who wait.

local command_format = {}

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(byte)
  return ESCAPES[byte] or ("\\u%04x"):format(byte:byte())
end

local function json_text(text)
  if text == nil then return "null" end
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

local function json_headers(headers)
  local parts = {}
  for index, header in ipairs(headers) do
    parts[index] = ('{"key":%s,"value":%s}'):format(json_text(header.key), json_text(header.value))
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- The digits of an integer. One beyond this Lua's integers is text already.
function command_format.digits(integer)
  return type(integer) == "string" and integer or ("%d"):format(integer)
end

local formats = {}

--- The value and a line end; a tombstone is an empty line.
function formats.text(message)
  return (message.value or "") .. "\n"
end

--- The message as the REST API has it, in one line.
function formats.json(message)
  return table.concat {
    '{"topic":', json_text(message.topic),
    (',"partition":%d,"offset":%d,"timestamp":%s'):format(message.partition, message.offset,
      command_format.digits(message.timestamp)),
    ',"key":', json_text(message.key),
    ',"value":', json_text(message.value),
    ',"headers":', json_headers(message.headers), "}\n",
  }
end

command_format.formats = formats

--- 1234567 as "1,234,567".
function command_format.number(number)
  local text = ("%d"):format(number):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

-- Whether standard error is a terminal that the output does not go to as well. It takes a process to find out,
-- so it is asked only when the work has taken a while.
local function is_watched(prints)
  local status = os.execute("test -t 2" .. (prints and " && ! test -t 1" or ""))
  return status == true or status == 0
end

local Progress = {}
Progress.__index = Progress

--- Progress on standard error, once a second from the second second on, where a person is watching.
---@param verb string "produced", "printed"
---@param prints boolean whether the command's output is the work itself
function command_format.progress(verb, prints)
  return setmetatable({ verb = verb, prints = prints, at = os.time() + 1 }, Progress)
end

--- `count` is how many are done.
function Progress:show(count)
  local now = os.time()
  if now <= self.at then return end
  self.at = now
  if self.watched == nil then self.watched = is_watched(self.prints) end
  if not self.watched then return end
  self.shown = true
  io.stderr:write("\r", self.verb, " ", command_format.number(count), " messages")
  io.stderr:flush()
end

--- Ends the line.
function Progress:done()
  if self.shown then io.stderr:write "\n" end
end

return command_format
