--- Starts a server as `upstash-kafka serve` does: with a folder for the messages unless a Kafka
-- cluster stores them, and with a generated password unless you pass one. Loads server.so and
-- nothing else.

local server = require "upstash.kafka.server"

local launcher = {}

local USERNAME = "kafka"
local PASSWORD_FILE = "password"
local PASSWORD_LENGTH = 32 -- of 64 letters: 192 bits
local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

--- Returns the default folder for messages: in $XDG_DATA_HOME, or else in ~/.local/share.
---@return string? folder
---@return string? message
function launcher.default_data()
  local base = os.getenv "XDG_DATA_HOME"
  if base and base:sub(1, 1) == "/" then return base .. "/upstash-kafka" end
  local home = os.getenv "HOME"
  if not home or home == "" then return nil, "no folder for the messages: HOME is not set" end
  return home .. "/.local/share/upstash-kafka"
end

local function make_password()
  local letters = server.random_bytes(PASSWORD_LENGTH):gsub(".", function(byte)
    local index = byte:byte() % #LETTERS + 1
    return LETTERS:sub(index, index)
  end)
  return letters
end

local function read_password(path)
  local file = io.open(path, "r")
  if not file then return nil end
  local password = file:read "*l" or ""
  file:close()
  return password
end

--- Returns the password of a data folder. If there is none, generates one and stores it in the
-- folder, readable by the owner alone.
---@param data string the folder
---@return string? password
---@return string? message
function launcher.kept_password(data)
  local path = data .. "/" .. PASSWORD_FILE
  local password = read_password(path)
  if not password then
    local made, message = server.write_secret(path, make_password() .. "\n")
    password = read_password(path) -- even if another process wrote it first
    if not password then return nil, made and path .. ": cannot be read" or message end
  end
  if #password < 16 then return nil, path .. " holds no password; delete it to get a new one" end
  return password
end

-- Without brokers the folder stores the messages. With brokers it stores only a generated password.
local function needs_folder(options)
  return not (options.brokers and options.password)
end

-- Chooses the folder if none is given, and creates it.
local function make_folder(all)
  if not all.data then
    local data, message = launcher.default_data()
    if not data then return nil, message end
    all.data = data
  end
  return server.make_directory(all.data)
end

-- Completes the options and creates the folder.
local function complete(options)
  local all = {}
  for key, value in pairs(options) do all[key] = value end
  if needs_folder(all) then
    local made, problem = make_folder(all)
    if not made then return nil, problem end
  end
  all.username = all.username or USERNAME
  if not all.password then
    local password, message = launcher.kept_password(all.data)
    if not password then return nil, message end
    all.password = password
  end
  return all
end

--- A running server and how to reach it.
---@class upstash.kafka.Launched
---@field handle upstash.kafka.ServerHandle
---@field url string
---@field username string
---@field password string
---@field data string? the folder; nil if none was given and none needed

--- Starts a server. Takes the options of server.start, all of them optional: `data` defaults to
-- launcher.default_data(), `username` to "kafka" and `password` to the one stored in the folder.
-- With `brokers` and a `password`, no folder is created.
---@param options upstash.kafka.ServerOptions?
---@return upstash.kafka.Launched? launched
---@return string? message
---@return upstash.kafka.Details? details those of server.start
function launcher.start(options)
  local all, problem = complete(options or {})
  if not all then return nil, problem end
  local fine, handle, message, details = pcall(server.start, all)
  if not fine then error(handle, 2) end
  if not handle then return nil, message, details end
  return {
    handle = handle, url = handle:url(),
    username = all.username, password = all.password, data = all.data,
  }
end

return launcher
