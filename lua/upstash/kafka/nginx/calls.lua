--- The client's calls inside nginx: core prepares the request and finishes the response, and
-- nginx's sockets send and receive in between. Calls and their retries yield; they never block the
-- worker. They take, return and raise the same as elsewhere.

local core = require "upstash.kafka.core"
local host = require "upstash.kafka.host"
local options = require "upstash.kafka.options"
local phase = require "upstash.kafka.nginx.phase"
local transport = require "upstash.kafka.nginx.transport"

local prepare, finish, fail = core.methods.prepare, core.methods.finish, core.methods.fail
local settings = core.methods.settings

local errors = {}
for _, row in ipairs(core.errors) do errors[row.code] = row end

-- { client = target }, created by the first call.
local targets = setmetatable({}, { __mode = "k" })

local function failure(code, text)
  local message = text or errors[code].text
  return nil, message, { error = message, code = code, retriable = errors[code].retriable }
end

-- The policy of a method, as core.retry_delay takes it.
local function policy_of(target, method)
  local policy = target.policies[method]
  if policy then return policy end
  policy = {
    method = method, retries = target.settings.retries, retry_delay = target.settings.retry_delay,
    retry_delay_max = target.settings.retry_delay_max, idempotent = target.settings.idempotent,
  }
  target.policies[method] = policy
  return policy
end

local CA_FILE = "client:%s: nginx's sockets do not support ca_file: remove it and set lua_ssl_trusted_certificate"

local PROXY = "client:%s: nginx's sockets know no proxy: remove the option proxy"

local function target_of(client)
  local target = targets[client]
  if target then return target end
  local message
  target, message = transport.target(settings(client))
  if not target then return nil, message end
  target.policies = {}
  targets[client] = target
  return target
end

-- Calls `read`, which is finish or fail. Another light thread may have closed the client meanwhile.
local function decode(read, client, request, ...)
  local fine, result, message, details = pcall(read, client, request, ...)
  if not fine then return failure("cancelled", result) end
  return result, message, details
end

local function attempt(client, target, request, wait)
  local resend = core.retry_delay(1, { code = "connection_lost" }, policy_of(target, request.name)) ~= nil
  local status, headers, body, beginning = transport.exchange(target, request, wait, resend)
  if not status then return decode(fail, client, request, headers, body, beginning) end
  return decode(finish, client, request, status, headers, body)
end

local function pause(milliseconds, stopping)
  if not stopping then return host.sleep(milliseconds) end
  host.sleep_until(milliseconds, { stopping = stopping })
end

-- Sends a request, and again after failures that may pass, until its time is up, or until
-- stopping() if the call has such a function.
local function perform(client, target, request, stopping)
  local wait = {
    deadline = core.now() + request.timeout,
    asked = request.timeout - target.settings.timeout,
    stopping = stopping,
  }
  local attempts = 0
  while true do
    local result, message, details = attempt(client, target, request, wait)
    if result ~= nil then return result, message, details end
    if details.code == "cancelled" then return nil, message, details end
    attempts = attempts + 1
    local delay = core.retry_delay(attempts, details, policy_of(target, request.name))
    if not delay or core.now() + delay >= wait.deadline then return nil, message, details end
    pause(delay, stopping)
    if stopping and stopping() then return nil, message, details end
  end
end

-- `level` is whose line to blame, as in `error`, seen from the caller.
local function call(client, method, stopping, level, ...)
  options.check_client(method, client, level + 1)
  phase.check(method, level + 1)
  local fine, request, message, details = pcall(prepare, client, method, ...)
  if not fine then error(request, level + 1) end
  if not request then return nil, message, details end
  local target, text = target_of(client)
  if not target then return failure("transport_failed", text) end
  if target.tls and target.settings.ca_file then error(CA_FILE:format(method), level + 1) end
  if target.settings.proxy then error(PROXY:format(method), level + 1) end
  return perform(client, target, request, stopping)
end

local calls = {}

-- These return a method. Neither makes a tail call, which would leave no line to blame.

local function method_of(name)
  return function(client, ...)
    local result, message, details = call(client, name, nil, 2, ...)
    return result, message, details
  end
end

local function loop_method_of(name)
  return function(client, wait, ...)
    local result, message, details = call(client, name, wait.stopping, 2, ...)
    return result, message, details
  end
end

-- Whether a method calls the server: core.retry_delay knows those.
local function is_call(name)
  return (pcall(core.retry_delay, 1, { code = "timeout" }, { method = name }))
end

--- Replaces the methods that block by calls over nginx's sockets, and fills host.methods.
---@param methods table<string, function>
function calls.install(methods)
  local names = {}
  for name in pairs(methods) do
    if is_call(name) then names[#names + 1] = name end
  end
  for _, name in ipairs(names) do
    methods[name] = method_of(name)
    host.methods[name] = loop_method_of(name)
  end
end

return calls
