--- A real nginx with its Lua module for tests, in its own folder.
--
--     local nginx = support.start { locations = "location /x { content_by_lua_block {…} }" }
--     local response = nginx:get "/x"
--     nginx:stop()
--
-- It loads this checkout's modules as the test does, so the test must run on LuaJIT.

local folder = require "spec.support.folder"
local free_port = require "spec.support.free_port"
local http = require "spec.support.http"
local shell = require "spec.support.shell"

local support = {}

local MODULES = "/usr/lib/nginx/modules"
-- nginx before 1.19.5 has no -e; errors before it reads the configuration then go elsewhere.
local COMMAND = [[
  PATH="$PATH:/usr/sbin"
  nginx -h 2>&1 | grep -q "^ *-e " && set -- -e %s/error.log
  exec nginx "$@" -p %s -c %s/nginx.conf
]]

--- Whether nginx specs can run on this Lua: others cannot load nginx's modules.
support.runs_here = rawget(_G, "jit") ~= nil
--- What a spec file passes to pending() if they cannot.
support.NEEDS = "needs LuaJIT: nginx loads the modules of the Lua that runs the test"

-- What every configuration needs to run in its own folder, with the test's modules.
local HEAD = [[
$user
daemon off;
pid $place/pid;
error_log $place/error.log notice;
]]
local HTTP_HEAD = [[
  access_log off;
  client_body_temp_path $place/body;
  proxy_temp_path $place/proxy;
  fastcgi_temp_path $place/fastcgi;
  uwsgi_temp_path $place/uwsgi;
  scgi_temp_path $place/scgi;
  lua_package_path '$path';
  lua_package_cpath '$cpath';
]]

local TEMPLATE = HEAD .. [[
load_module $modules/ndk_http_module.so;
load_module $modules/ngx_http_lua_module.so;
worker_processes $workers;
$main
events { worker_connections 4096; }
http {
]] .. HTTP_HEAD .. [[
  client_max_body_size 64m;
  client_body_buffer_size 16m;
  $http
  server {
    listen 127.0.0.1:$port;
    listen unix:$place/socket;
    location = /alive { return 200 "alive"; }
    $locations
  }
}
]]

local function expand(text, values)
  return (text:gsub("%$([%l_]+)", function(name) return values[name] end))
end

-- Adapts a configuration to this machine: puts HEAD before it and HTTP_HEAD at the start of its
-- http block, takes modules from nginx's folder, and replaces port 8080 by the test's, 8081 by
-- another free one, and what else the test gives in a map of plain strings.
local function adapt(path, values, replaced)
  local text = expand(HEAD, values) .. folder.read(path)
  local substitutes = {
    { "load_module modules/", "load_module " .. MODULES .. "/" },
    { "listen 8088;", ("listen 127.0.0.1:%d;"):format(values.port) },
    { "listen 127.0.0.1:8081;", ("listen 127.0.0.1:%d;"):format(values.second_port) },
    { "\nhttp {\n", "\nhttp {\n" .. expand(HTTP_HEAD, values) },
  }
  for from, to in pairs(replaced or {}) do substitutes[#substitutes + 1] = { from, to } end
  for _, pair in ipairs(substitutes) do
    local from = pair[1]:gsub("%p", "%%%0")
    text = text:gsub(from, (pair[2]:gsub("%%", "%%%%")))
  end
  return text
end

local Nginx = {}
Nginx.__index = Nginx

local running = {} -- the set of those that are not stopped

--- Stops all that a failed test left running: for a teardown.
function support.stop_all()
  for nginx in pairs(running) do nginx:stop() end
end

local function start_process(self)
  local line = COMMAND:gsub("%%s", self.place)
  self.process = shell.start("sh -c " .. shell.quote(line), { environment = self.environment })
  self.master = self.process.pid
  shell.eventually(20, function()
    if self.process:ended() then error("nginx did not start:\n" .. self.process:errors() .. self:log(), 0) end
    local fine, connection = pcall(self.client.connect, self.client)
    if fine then connection:close() end
    return fine and #self:workers() >= self.least
  end)
end

--- Starts one and waits until it answers. Options: `locations`, for the server; `http`, for the
-- http block; `main`, for the top; `workers`; `environment`, variables. In all of them $place is
-- the folder, $port the port, $here the checkout, $modules nginx's modules, and $NAME the value
-- NAME of `values`. Or `example`, the path of a complete configuration, with `replace`: see
-- `adapt`.
function support.start(options)
  local self = setmetatable({ place = folder.make(), port = free_port(), environment = options.environment,
    least = options.workers or 1 }, Nginx)
  local values = {
    place = self.place, port = self.port, here = shell.here, modules = MODULES, workers = options.workers or 1,
    path = shell.here .. "/?.lua;" .. package.path, cpath = package.cpath,
    user = shell.run("test $(id -u) = 0") == 0 and "user root;" or "",
  }
  self.second_port = free_port()
  values.second_port = self.second_port
  for name, value in pairs(options.values or {}) do values[name] = value end
  for _, name in ipairs { "main", "http", "locations" } do values[name] = expand(options[name] or "", values) end
  running[self] = true
  self.url = "http://127.0.0.1:" .. self.port
  self.unix_url = "http://unix:" .. self.place .. "/socket"
  self.client = http.client(self.url, "nobody", "nothing")
  local config = options.example and adapt(options.example, values, options.replace) or expand(TEMPLATE, values)
  folder.write(self.place .. "/nginx.conf", config)
  local fine, problem = pcall(start_process, self)
  if not fine then
    self:stop()
    error(problem, 2)
  end
  return self
end

--- The response to a GET, or to a POST with a body.
function Nginx:get(path, timeout)
  return self.client:request("GET", path, { timeout = timeout })
end

function Nginx:post(path, body, timeout)
  return self.client:request("POST", path, { body = body, timeout = timeout })
end

--- Sends a GET; http.collect waits for the answer.
function Nginx:begin(path)
  return self.client:start("GET", path)
end

--- The whole error log.
function Nginx:log()
  return folder.read(self.place .. "/error.log") or ""
end

--- Waits until the error log matches a pattern, from `after` bytes on; returns the captures.
function Nginx:expect(pattern, seconds, after)
  return shell.eventually(seconds or 10, function() return self:log():match(pattern, after) end)
end

--- The process numbers of the live workers, including those that are shutting down.
function Nginx:workers()
  local out = folder.read(("/proc/%d/task/%d/children"):format(self.master, self.master)) or ""
  local list = {}
  for pid in out:gmatch "%d+" do list[#list + 1] = tonumber(pid) end
  return list
end

--- Sends the master a signal.
function Nginx:signal(name)
  self.process:signal(name)
end

--- Sends HUP and waits until the old workers are gone. Returns how many milliseconds that took.
function Nginx:reload(seconds)
  local core = require "upstash.kafka.core"
  local began, old = core.now(), {}
  for _, pid in ipairs(self:workers()) do old[pid] = true end
  self:signal "HUP"
  shell.eventually(seconds or 20, function()
    local fresh = false
    for _, pid in ipairs(self:workers()) do
      if old[pid] then return false end
      fresh = true
    end
    return fresh
  end)
  return core.now() - began
end

--- Sends a signal and waits for the end. Returns the status and how many milliseconds that took.
function Nginx:finish(name, seconds)
  local core = require "upstash.kafka.core"
  local began = core.now()
  self:signal(name)
  local status = self.process:wait(seconds or 20)
  return status, core.now() - began
end

--- Starts it again after its end, with the same configuration.
function Nginx:start_again()
  self.client:close()
  self.process:remove()
  start_process(self)
end

--- How the workers have ended so far: a list of the statuses and signals in the log.
function Nginx:ends()
  local list = {}
  for how in self:log():gmatch "worker process %d+ exited (with code %d+)" do list[#list + 1] = how end
  for how in self:log():gmatch "worker process %d+ exited (on signal %d+)" do list[#list + 1] = how end
  return list
end

--- Ends it by any means and removes its folder.
function Nginx:stop()
  if not running[self] then return end
  running[self] = nil
  self.client:close()
  if self.process then
    if not self.process:ended() then
      self:signal "TERM"
      pcall(self.process.wait, self.process, 10)
    end
    self.process:remove()
  end
  folder.remove(self.place)
end

return support
