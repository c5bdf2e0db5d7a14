--- A proxy between a client and a server that loses answers, and the function that starts it. It is
-- a separate process, so that tests can use a client that blocks.
--
--     local faulty_proxy = require "spec.support.faulty_proxy"
--     local proxy = faulty_proxy.start(server.url, "lose /consume/ 2", "cut /commit/ 1")
--
-- A rule is WHAT PREFIX N: what happens to the answer to the Nth request whose path begins with
-- PREFIX; N = 0 means every such request. WHAT is one of
--   lose        the server executes the request; the connection closes without an answer
--   cut         the connection closes in the middle of the answer's body
--   cut@BYTES   the connection closes after the first BYTES of the answer
--   garble      the answer is not JSON
--   spoil       the answer is not JSON if a message has the value "poison"
--   misplace    the offset of such a message is not an integer
--   unnamed     the topic of such a message is missing
--   nano        the timestamps are in nanoseconds
--   refuse      the request never reaches the server

local faulty_proxy = {}

--- Starts a proxy in front of a server. Returns { url =, stop = function }.
function faulty_proxy.start(url, ...)
  local shell = require "spec.support.shell"
  local rules = {}
  for index, rule in ipairs { ... } do rules[index] = shell.quote(rule) end
  local process = shell.start(("%s spec/support/faulty_proxy.lua %s %s"):format(shell.lua, shell.quote(url),
    table.concat(rules, " ")))
  return {
    url = process:expect "(http://[%d.:]+)\n",
    stop = function() process:remove() end,
    log = function() return process:output() end,
  }
end

local function read_rules(words)
  local rules = {}
  for index = 2, #words do
    local what, prefix, number = words[index]:match "^(%S+) (%S+) (%d+)$"
    rules[#rules + 1] = { what = what, prefix = prefix, left = tonumber(number) }
  end
  return rules
end

-- The fault to apply to the answer for this path, or nil.
local function fault_for(rules, path)
  local fault
  for _, rule in ipairs(rules) do
    if path:sub(1, #rule.prefix) == rule.prefix then
      if rule.left <= 1 then fault = rule.left >= 0 and rule.what or fault end
      if rule.left > 0 then rule.left = rule.left > 1 and rule.left - 1 or -1 end
    end
  end
  return fault
end

-- Reads a request or an answer: its first line, its head and its body.
local function read_message(connection)
  local first = connection:receive "*l"
  if not first then return nil end
  local lines, length = { first }, 0
  repeat
    local line = connection:receive "*l"
    if not line then return nil end
    lines[#lines + 1] = line
    length = tonumber(line:lower():match "^content%-length:%s*(%d+)") or length
  until line == ""
  local body = length > 0 and connection:receive(length) or ""
  return first, table.concat(lines, "\r\n") .. "\r\n", body
end

local faults = {}

function faults.lose() end

function faults.cut(client, head, body)
  client:send(head .. body:sub(1, math.floor(#body / 2)))
end

faults["cut@"] = function(client, head, body, bytes)
  client:send((head .. body):sub(1, bytes))
end

function faults.garble(client, head, body)
  client:send(head .. ("{"):rep(#body))
end

-- These change the answer and keep the connection open.
local changes = {}

function changes.spoil(body)
  return (body:gsub('"value":"poison"', '"value":poison'))
end

local POISON = '"timestamp":%d+,"key":"[^"]*","value":"poison")'

function changes.misplace(body)
  return (body:gsub('"offset":%d+,(' .. POISON, '"offset":"none",%1'))
end

function changes.unnamed(body)
  return (body:gsub('"topic":"[^"]*",("partition":%d+,"offset":%d+,' .. POISON, "%1"))
end

function changes.nano(body)
  return (body:gsub('("timestamp":%d+)', "%1000000"))
end

local function change(head, body, fault)
  body = changes[fault](body)
  return head:gsub("([Cc]ontent%-[Ll]ength: )%d+", "%1" .. #body), body
end

-- Serves one request of a connection. False when the connection has ended.
local function serve_one(client, server, rules)
  local first, head, body = read_message(client)
  if not first then return false end
  local path = first:match "^%S+ (%S+)"
  local fault = fault_for(rules, path)
  print(path, fault or "-")
  if fault == "refuse" then return false end
  server:send(head .. body)
  local _, answer_head, answer_body = read_message(server)
  if not answer_head then return false end
  if changes[fault] then
    answer_head, answer_body = change(answer_head, answer_body, fault)
  elseif fault then
    local name, bytes = fault:match "^(%a+@?)(%d*)$"
    faults[name](client, answer_head, answer_body, tonumber(bytes))
    return false
  end
  client:send(answer_head .. answer_body)
  return true
end

local function main(words)
  local socket = require "socket"
  local host, port = words[1]:match "^http://([%d.]+):(%d+)$"
  local rules, listener = read_rules(words), assert(socket.bind("127.0.0.1", 0))
  io.stdout:setvbuf "line"
  print("http://127.0.0.1:" .. select(2, listener:getsockname()))
  listener:settimeout(60) -- the process that started it may have died
  while true do
    local client = listener:accept()
    if not client then return end
    local server = assert(socket.connect(host, tonumber(port)))
    client:setoption("tcp-nodelay", true)
    server:setoption("tcp-nodelay", true)
    while serve_one(client, server, rules) do end
    client:close()
    server:close()
  end
end

if arg and arg[0] and arg[0]:match "faulty_proxy%.lua$" then main(arg) end

return faulty_proxy
