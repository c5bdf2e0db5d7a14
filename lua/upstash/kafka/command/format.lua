--- Writes messages as text or JSON, one per line, and progress for people who watch.

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

--- Returns the digits of an integer. One that does not fit this Lua's integers is a string already.
function command_format.digits(integer)
  return type(integer) == "string" and integer or ("%d"):format(integer)
end

local formats = {}

--- Returns the value as a line. A tombstone is an empty line.
function formats.text(message)
  return (message.value or "") .. "\n"
end

--- Returns the message as a line of JSON, in the form of the REST API.
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

--- Returns 1234567 as "1,234,567".
function command_format.number(number)
  local text = ("%d"):format(number):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

--- Returns "1 message", "2 messages" and so on.
function command_format.count(number)
  return command_format.number(number) .. (number == 1 and " message" or " messages")
end

-- Whether standard error is a terminal and, if the command prints, standard output is not. Finding
-- out takes a process, so this is called only after the work has taken a while.
local function is_watched(prints)
  local status = os.execute("test -t 2" .. (prints and " && ! test -t 1" or ""))
  return status == true or status == 0
end

local Progress = {}
Progress.__index = Progress

--- Creates progress, which is shown on standard error once a second, after the first second, if a
-- person watches.
---@param verb string "produced", "printed"
---@param prints boolean whether the command prints its results to standard output
function command_format.progress(verb, prints)
  return setmetatable({ verb = verb, prints = prints, at = os.time() + 1 }, Progress)
end

--- Shows that `count` messages are done, or that many of something else.
---@param count integer
---@param what string? follows the number
function Progress:show(count, what)
  local now = os.time()
  if now <= self.at then return end
  self.at = now
  if self.watched == nil then self.watched = is_watched(self.prints) end
  if not self.watched then return end
  self.shown = true
  io.stderr:write("\r", self.verb, " ",
    what and command_format.number(count) .. " " .. what or command_format.count(count))
  io.stderr:flush()
end

--- Ends the line of progress.
function Progress:done()
  if self.shown then io.stderr:write "\n" end
end

return command_format
