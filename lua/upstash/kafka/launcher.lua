--- Starts a server as `upstash-kafka serve` does: with a folder for the messages unless a Kafka
-- cluster stores them, and with a generated password unless you pass one. Loads server.so and
-- nothing else.

local server = require "upstash.kafka.server"

local launcher = {}

local USERNAME = "kafka"
local PASSWORD_FILE = "password"
local PASSWORD_LENGTH = 32 -- of 64 letters: 192 bits
local PASSWORD_LEAST = 16
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

local function password_file(data)
  return data .. "/" .. PASSWORD_FILE
end

local function make_password()
  local letters = server.random_bytes(PASSWORD_LENGTH):gsub(".", function(byte)
    local index = byte:byte() % #LETTERS + 1
    return LETTERS:sub(index, index)
  end)
  return letters
end

--- Returns the password that is stored in a data folder, or nil if none is.
---@param data string the folder
---@return string? password
---@return string? message why the file cannot be used
function launcher.kept_password(data)
  local path = password_file(data)
  local password, message = server.read_secret(path)
  if not password then return nil, message and message .. "; or delete it to get a new password" end
  if #password < PASSWORD_LEAST then
    return nil, ("%s holds a password of %d bytes, where at least %d are expected; delete it to get a new one")
      :format(path, #password, PASSWORD_LEAST)
  end
  return password
end

-- Without a password of yours, one is generated, unless a file has the credentials.
local function needs_password(options)
  return not options.password and (options.username or not options.credentials)
end

-- With brokers the folder stores only a generated password.
local function needs_folder(options)
  return not options.brokers or needs_password(options)
end

-- Completes the options. Returns nil and a message if that is impossible, or the options and
-- whether the password is a new one. Writes nothing.
local function complete(options)
  local all = {}
  for key, value in pairs(options) do all[key] = value end
  if not all.data and needs_folder(all) then
    local data, message = launcher.default_data()
    if not data then return nil, message end
    all.data = data
  end
  if all.password or not all.credentials then all.username = all.username or USERNAME end
  if not needs_password(all) then return all, false end
  local password, message = launcher.kept_password(all.data)
  if message then return nil, message end
  all.password = password or make_password()
  return all, not password
end

-- Stores a new password, in the folder of a server that has started.
local function store_password(all)
  local made, message = server.make_directory(all.data)
  if made then made, message = server.write_secret(password_file(all.data), all.password .. "\n") end
  return made, message
end

--- A running server and how to reach it.
---@class upstash.kafka.Launched
---@field handle upstash.kafka.ServerHandle
---@field url string
---@field username string? nil with a file of credentials and no other one
---@field password string?
---@field password_file string? the file that holds it, if it was generated now or at an earlier start
---@field data string? the folder; nil if none was given and none needed

-- Another process with brokers may have stored a password in the same folder in the meantime. A
-- server with the embedded log locks its folder first.
local function start(options, attempts)
  local all, is_new = complete(options)
  if not all then return nil, is_new end
  local fine, handle, message, details = pcall(server.start, all)
  if not fine then error(handle, 3) end
  if not handle then return nil, message, details end
  if is_new then
    local stored, problem = store_password(all)
    if not stored then
      handle:stop()
      if attempts > 1 and launcher.kept_password(all.data) then return start(options, attempts - 1) end
      return nil, problem
    end
  end
  return {
    handle = handle, url = handle:url(),
    username = all.username, password = all.password, data = all.data,
    password_file = needs_password(options) and password_file(all.data) or nil,
  }
end

--- Starts a server. Takes the options of server.start, all of them optional: `data` defaults to
-- launcher.default_data(), `username` to "kafka" and `password` to the one stored in the folder.
-- With `credentials` there is no other credential unless you give one. With `brokers`, and a
-- `password` or `credentials`, no folder is created. Nothing is written unless the server
-- starts; then a generated password is.
---@param options upstash.kafka.ServerOptions?
---@return upstash.kafka.Launched? launched
---@return string? message
---@return upstash.kafka.Details? details those of server.start
function launcher.start(options)
  local launched, message, details = start(options or {}, 2)
  return launched, message, details
end

return launcher
