--- Reads command lines, and writes their help, from a table that describes each command.
--
-- A command is { name =, words = "TOPIC [TEXT]", least =, most =, about =, options = {…}, run = };
-- `least` and `most` bound the number of words. An option is { name =, value = "N", kind =, about
-- =, default =, … }, with `name` without the dashes. No message shows the value of a `secret`
-- option.

local command_line = {}

local PROGRAM = "upstash-kafka"

-- What command_line.fail and command_line.misuse raise.
local Stop = {}
Stop.__index = Stop
Stop.__tostring = function(stop) return stop.text end

--- Ends the command with status 1: it failed.
function command_line.fail(format, ...)
  error(setmetatable({ status_of_command = 1, text = format:format(...) }, Stop), 0)
end

--- Returns the module of the server, which is a rock of its own. If it cannot be loaded, the
--- command fails.
function command_line.server(command)
  local found, server = pcall(require, "upstash.kafka.server")
  if found then return server end
  if server:find("interrupted!", 1, true) then error(server, 0) end
  -- Where the module is missing, Lua lists the places without it.
  local missing = server:find("module 'upstash.kafka.server' not found", 1, true)
  command_line.fail("%s requires the server: %s", command,
    missing and "install the rock upstash-kafka-server for " .. _VERSION or server)
end

--- Ends the command with status 2: misuse.
function command_line.misuse(format, ...)
  error(setmetatable({ status_of_command = 2, text = format:format(...) }, Stop), 0)
end

--- Ends the command after the signal that stopped it in an orderly way. After INT the status is
--- that of an interrupt; any other signal asked for this end, so the command has succeeded.
---@param signal string|boolean|nil the signal's name, without SIG
function command_line.end_by_signal(signal)
  if signal == "INT" then error("interrupted!", 0) end
end

--- Returns what a library says of an argument that it refuses, without the function's name and the
-- place of the call, which say nothing to the user of a command.
function command_line.reason(err)
  local text = tostring(err):gsub("^[^\n]-:%d+: ", "")
  return text:match "^bad argument #%d+ to '[^']*' %((.*)%)$" or text
end

--- Returns the exit status and the message, one line, for an error of a command. A string comes
-- from a library that refuses its arguments, so it is misuse. An interrupt has no message.
function command_line.outcome(err)
  local status, text = 2, tostring(err)
  if type(err) == "table" then
    status = err.status_of_command or 1
  else
    text = command_line.reason(text)
    if text:find("interrupted!", 1, true) then return 130, nil end
  end
  return status, (text:gsub("%s*\n.*$", ""))
end

-- Kinds of values: each returns the value, or nil and what was expected --------------------------

local kinds = {}

function kinds.text(word)
  return word
end

function kinds.name(word)
  if word == "" then return nil, "a non-empty text" end
  return word
end

function kinds.integer(word, option)
  local value = word:match "^%d+$" and #word <= 15 and tonumber(word)
  if not value or value < (option.min or 0) then
    return nil, ("an integer of %d or more"):format(option.min or 0)
  end
  return value
end

function kinds.choice(word, option)
  for _, choice in ipairs(option.choices) do
    if choice == word then return word end
  end
  return nil, table.concat(option.choices, " or ")
end

function kinds.position(word, option)
  if word == "earliest" or word == "latest" then return word end
  local value = kinds.integer(word, option)
  return value, "an offset, earliest or latest"
end

function kinds.pair(word, option)
  local key, value = word:match "^([^=]+)=(.*)$"
  if not key or (option.filled and value == "") then return nil, option.value end
  return { key = key, value = value }
end

-- Reading -----------------------------------------------------------------------------------------

local function option_named(command, name, word)
  for _, option in ipairs(command.options) do
    if option.name == name then return option end
  end
  command_line.misuse("%s: unknown option %s (see %s %s --help)", command.name, word:match "^[^=]+", PROGRAM,
    command.name)
end

local function field_of(option)
  return (option.name:gsub("-", "_"))
end

local function store(command, given, option, word)
  local value, expected = kinds[option.kind](word, option)
  if value == nil then
    local got = option.secret and "" or (", got '%s'"):format(word)
    command_line.misuse("%s: --%s: %s expected%s", command.name, option.name, expected, got)
  end
  local field = field_of(option)
  if option.many then
    given[field] = given[field] or {}
    table.insert(given[field], value)
  elseif given[field] ~= nil then
    command_line.misuse("%s: --%s is given twice", command.name, option.name)
  else
    given[field] = value
  end
end

-- Reads the option at words[index]. Returns the index of its last word.
local function read_option(command, given, words, index)
  local name, value = words[index]:match "^%-%-([^=]+)=(.*)$"
  name = name or words[index]:match "^%-%-(.+)$" or words[index]
  local option = option_named(command, name, words[index])
  if option.kind == "flag" then
    if value then command_line.misuse("%s: --%s takes no value", command.name, name) end
    given[field_of(option)] = true
    return index
  end
  if not value then
    index = index + 1
    value = words[index]
    if not value then command_line.misuse("%s: --%s needs %s", command.name, name, option.value) end
  end
  store(command, given, option, value)
  return index
end

local function check_complete(command, given)
  if #given < command.least or #given > command.most then
    local what = #given < command.least and "too few" or "too many"
    command_line.misuse("%s: %s arguments; usage: %s %s %s", command.name, what, PROGRAM, command.name,
      command.words)
  end
  for _, option in ipairs(command.options) do
    local field = field_of(option)
    if given[field] == nil then
      if option.required then command_line.misuse("%s: --%s is missing", command.name, option.name) end
      given[field] = option.default
    end
  end
end

local function is_option(word)
  return #word > 1 and word:sub(1, 1) == "-"
end

--- Reads the words from `first` on. Returns a table with the plain words as a list and a field for
-- each option (with underscores for dashes), or with `help` = true.
function command_line.read(command, words, first)
  local given, index, plain = {}, first, false
  while index <= #words do
    local word = words[index]
    if plain or not is_option(word) then
      given[#given + 1] = word
    elseif word == "--" then
      plain = true
    elseif word == "--help" or word == "-h" then
      return { help = true }
    else
      index = read_option(command, given, words, index)
    end
    index = index + 1
  end
  check_complete(command, given)
  return given
end

-- Help --------------------------------------------------------------------------------------------

local function usage_of(option)
  return "--" .. option.name .. (option.value and " " .. option.value or "")
end

-- In characters, not bytes.
local function width_of(text)
  return #text:gsub("[\128-\191]", "")
end

--- Returns the help of a command. `defaults` has the defaults of options without one in the table.
function command_line.help(command, defaults)
  local lines = { ("usage: %s %s %s"):format(PROGRAM, command.name, command.words), "", command.about, "" }
  local width = 0
  for _, option in ipairs(command.options) do width = math.max(width, width_of(usage_of(option))) end
  for _, option in ipairs(command.options) do
    local default = option.default
    if default == nil and option.kind ~= "flag" then default = defaults and defaults[field_of(option)] end
    local about = option.about .. (default ~= nil and (" (default %s)"):format(tostring(default)) or "")
    local usage = usage_of(option)
    lines[#lines + 1] = ("  %s%s  %s"):format(usage, (" "):rep(width - width_of(usage)), about)
  end
  return table.concat(lines, "\n") .. "\n"
end

return command_line
