-- A log phase written without this library: a Lua table as the buffer, a timer for each flush, an
-- nginx socket kept alive, lua-cjson. It does not retry, and loses what the worker holds when it
-- ends.
local json = require "cjson"

local ngx = rawget(_G, "ngx")

local LINGER = 0.005 -- seconds
local MOST = 10000   -- messages in the buffer

local hand = {}

local function read_answer(socket)
  local line = assert(socket:receive "*l")
  local length
  repeat
    local header = assert(socket:receive "*l")
    length = tonumber(header:lower():match "^content%-length: (%d+)") or length
  until header == ""
  local body = assert(socket:receive(length))
  if not line:find " 200 " then error(line .. " " .. body) end
end

--- A function that sends values to the topic.
function hand.new(host, port, username, password, topic)
  local buffer, count, pending = {}, 0, false
  local credentials = ngx.encode_base64(username .. ":" .. password)
  local head = ("POST /produce/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\n"):format(topic, host, credentials)

  local function flush()
    local batch = buffer
    buffer, count, pending = {}, 0, false
    local body = json.encode(batch)
    local socket = ngx.socket.tcp()
    assert(socket:connect(host, port))
    assert(socket:send { head, "Content-Length: ", #body, "\r\n\r\n", body })
    read_answer(socket)
    assert(socket:setkeepalive())
  end

  return function(value)
    if count == MOST then return nil, "full" end
    count = count + 1
    buffer[count] = { value = value }
    if not pending then
      pending = true
      return ngx.timer.at(LINGER, flush)
    end
    return true
  end
end

return hand
