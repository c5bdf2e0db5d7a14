--- Kafka over HTTP.
--
--     local kafka = require "upstash.kafka"
--     local client = kafka.new { url = "http://127.0.0.1:8080", username = "u", password = "p" }
--
-- Every method of a client is also a function of this module: kafka.produce("greetings", "hello").
-- The first such call creates one client for all of them, from the environment.

local core = require "upstash.kafka.client"
local host = require "upstash.kafka.host"
local json = require "upstash.kafka.json"

---@class upstash.kafka: upstash.kafka.Functions
---@field null lightuserdata null in JSON, and the value of a tombstone; the same as cjson.null
---@field _VERSION string
local kafka = { null = core.null, _VERSION = core._VERSION }

local ENVIRONMENT = {
  url = "UPSTASH_KAFKA_REST_URL",
  username = "UPSTASH_KAFKA_REST_USERNAME",
  password = "UPSTASH_KAFKA_REST_PASSWORD",
}

---@class upstash.kafka.Options
---@field url string? http://HOST:PORT or https://…, default $UPSTASH_KAFKA_REST_URL
---@field username string? default $UPSTASH_KAFKA_REST_USERNAME, if the URL is the one in the environment
---@field password string? default $UPSTASH_KAFKA_REST_PASSWORD, likewise
---@field timeout integer? milliseconds for a call, beyond what the server is asked to wait, default 30000
---@field connect_timeout integer? milliseconds, default 5000
---@field retries integer? attempts after the first, default 3
---@field retry_delay integer? milliseconds before the first retry, default 100
---@field retry_delay_max integer? milliseconds, default 10000
---@field binary boolean? sends keys, values and headers as base64, so that they may be any bytes; default false
---@field compress boolean? asks for responses in gzip, default false
---@field verify boolean? checks TLS certificates, default true
---@field ca_file string? PEM file of certificates to trust
---@field proxy string? URL of a proxy, "" for none; default: the environment's. Never used for a server on this machine
---@field idempotent boolean? the server honours Idempotency-Key: retries a produce like a fetch; default false
---@field max_response_bytes integer? default 128 MiB, in nginx 8 MiB
---@field encode nil|fun(value: table): string?, string? turns a table into JSON; returns it, or nil and the reason

local OTHER = { username = "password", password = "username" }

local function variable(field)
  local value = os.getenv(ENVIRONMENT[field])
  return value ~= "" and value or nil
end

local function same_url(one, other)
  return type(one) == "string" and other ~= nil and one:gsub("/+$", "") == other:gsub("/+$", "")
end

-- The options, completed from the environment. The environment's credentials are sent to its own
-- URL only.
local function with_environment(options)
  local all = { encode = json.encode }
  for field, value in pairs(options) do
    if value ~= core.null then all[field] = value end
  end
  local own = all.url == nil or same_url(all.url, variable "url")
  if all.url == nil then all.url = variable "url" end
  if all.max_response_bytes == nil then all.max_response_bytes = host.max_response_bytes end
  for field in pairs(OTHER) do
    if own and all[field] == nil then all[field] = variable(field) end
  end
  return all
end

-- Says what is missing because the environment's credentials belong to another URL; nil if nothing
-- is.
local function missing(all)
  for field, other in pairs(OTHER) do
    if all[field] == nil and all[other] ~= nil and variable(field) then
      return ("%s: missing; %s goes only with %s"):format(field, ENVIRONMENT[field], ENVIRONMENT.url)
    end
  end
end

--- Creates a client. It connects when you make the first call.
---@param options upstash.kafka.Options?
---@return upstash.kafka.Client client
function kafka.new(options)
  if options ~= nil and type(options) ~= "table" then
    error(("bad argument #1 to 'new' (table expected, got %s)"):format(type(options)), 2)
  end
  local all = with_environment(options or {})
  local problem = missing(all)
  if problem then error(("bad argument #1 to 'new' (%s)"):format(problem), 2) end
  if all.url == nil then
    local text = "bad argument #1 to 'new' (url: string expected, %s is not set%s)"
    error(text:format(ENVIRONMENT.url, host.environment_note), 2)
  end
  local fine, client = pcall(core.new, all)
  if not fine then error(client, 2) end
  return client
end

local default

-- The client behind the module functions.
local function client_of_environment(name)
  if default then return default end
  if (os.getenv(ENVIRONMENT.url) or "") == "" then
    error(("kafka.%s needs %s%s; or create a client with kafka.new"):format(name, ENVIRONMENT.url,
      host.environment_note), 3)
  end
  default = kafka.new()
  return default
end

local unpack = table.unpack or unpack -- luacheck: compat

local function pack(...)
  return { n = select("#", ...), ... }
end

-- An error in a method blames the line that called the function. The function returns as many
-- values as the method.
for name, method in pairs(core.methods) do
  kafka[name] = function(...)
    local client = client_of_environment(name)
    local results = pack(pcall(method, client, ...))
    if not results[1] then error(results[2], 2) end
    return unpack(results, 2, results.n)
  end
end

--- Closes the client behind the module functions. The next call creates a new one.
function kafka.close()
  if default then default:close() end
  default = nil
end

return kafka
