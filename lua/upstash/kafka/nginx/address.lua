--- Where a client's requests go: the parts of its URL, and the addresses of its host.
--
-- nginx's own resolver reads neither /etc/hosts nor /etc/resolv.conf. So this module resolves
-- localhost and the names in /etc/hosts, and leaves the others to nginx.

local HOSTS = "/etc/hosts"
local HOSTS_BYTES = 262144 -- the rest of the file is ignored

local address = {}

--- Reads the names in a hosts file: { name = { address, … } }, names in lower case, IPv6 in
-- brackets.
---@param text string
---@return table<string, string[]>
function address.read_hosts(text)
  local names = {}
  for line in text:gmatch "[^\r\n]+" do
    local ip, rest = line:gsub("#.*", ""):match "^%s*([%x:.]+)%s+(.+)$"
    if ip and ip:find(":", 1, true) then ip = "[" .. ip .. "]" end
    for name in (rest or ""):lower():gmatch "%S+" do
      names[name] = names[name] or {}
      table.insert(names[name], ip)
    end
  end
  return names
end

local hosts

-- Reads the file once. A reload of nginx reads it again.
local function known_hosts()
  if hosts then return hosts end
  local file = io.open(HOSTS, "rb")
  hosts = address.read_hosts(file and file:read(HOSTS_BYTES) or "")
  if file then file:close() end
  return hosts
end

-- The addresses to try in turn. nginx resolves the name if it is not known here.
local function addresses_of(host)
  if host:find "^%[" or host:find "^%d+%.%d+%.%d+%.%d+$" then return { host } end
  if host:lower() == "localhost" then return { "127.0.0.1", "[::1]" } end
  return known_hosts()[host:lower()] or { host }
end

local function split(url)
  local scheme, authority = url:match "^(%a+)://([^/]*)"
  local host, port = authority:match "^(%[[%x:.]+%]):?(%d*)$"
  if not host then
    host, port = authority:match "^([%w._-]+):?(%d*)$"
  end
  return scheme:lower(), host, port
end

--- Where a connection goes.
---@class upstash.kafka.Address
---@field tls boolean
---@field host string as the URL has it
---@field port integer? nil for a unix socket
---@field authority string for the Host header
---@field addresses string[] to try in turn
---@field where string for error messages

--- Returns the address of a client's URL, or nil and a message if the URL is malformed.
---@param settings {url: string, socket: string?} as client:settings() returns them
---@return upstash.kafka.Address? found
---@return string? message
function address.of(settings)
  if settings.socket then
    return { tls = false, host = "localhost", authority = "localhost", addresses = { "unix:" .. settings.socket },
      where = settings.socket }
  end
  local scheme, host, port = split(settings.url)
  local usual = scheme == "https" and 443 or 80
  local number = port == "" and usual or tonumber(port)
  if not host or number < 1 or number > 65535 then return nil, "the URL is malformed: " .. settings.url end
  return {
    tls = scheme == "https",
    host = host,
    port = number,
    authority = number == usual and host or host .. ":" .. number,
    addresses = addresses_of(host),
    where = host .. ":" .. number,
  }
end

return address
