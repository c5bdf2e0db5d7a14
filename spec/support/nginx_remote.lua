--- A client that runs in nginx and has the methods of a local one: a location of nginx executes
-- each call, and its results or error come back.
--
--     nginx = support.start { locations = remote.LOCATION }
--     local client = remote.new(nginx, { url = … })
--     client:produce("topic", "value")

local cjson = require "cjson"

local remote = {}

remote.LOCATION = [[
location = /call { content_by_lua_block { require("spec.support.nginx_remote").serve() } }
]]

-- Arguments and results may be nil and hold any bytes; tables in them may not contain either.
local function pack(...)
  return { n = select("#", ...), ... }
end

local function encode(list)
  local out = { n = list.n, values = {} }
  for index = 1, list.n do out.values[tostring(index)] = list[index] end
  return cjson.encode(out)
end

local function decode(text)
  local read = cjson.decode(text)
  local list = { n = read.n }
  for index = 1, read.n do list[index] = read.values[tostring(index)] end
  return list
end

-- One client for each set of options, as in a program.
local clients = {}

--- Inside nginx: executes the call in the body of the request.
function remote.serve()
  local ngx = rawget(_G, "ngx")
  ngx.req.read_body()
  local call = decode(ngx.req.get_body_data())
  local key, method, arguments = cjson.encode(call[1]), call[2], decode(call[3])
  clients[key] = clients[key] or require("upstash.kafka").new(call[1])
  local client = clients[key]
  if method == "close" then clients[key] = nil end
  ngx.print(encode(pack(pcall(client[method], client, unpack(arguments, 1, arguments.n)))))
end

local Client = {}

function Client.__index(_, method)
  return function(self, ...)
    local body = encode(pack(rawget(self, "options"), method, encode(pack(...))))
    local response = rawget(self, "nginx"):post("/call", body, 60)
    assert(response.status == 200, response.body)
    local results = decode(response.body)
    if not results[1] then error(results[2], 2) end
    return unpack(results, 2, results.n)
  end
end

--- The client in an nginx that has LOCATION.
function remote.new(nginx, options)
  return setmetatable({ nginx = nginx, options = options }, Client)
end

return remote
