--- An nginx without modules, in its own folder, with a complete configuration.
--
--     local front = plain_nginx.start(text, { ["127.0.0.1:8080"] = "127.0.0.1:" .. port })
--     front:read "access.log"
--     front:stop()
--
-- Plain strings in the text are replaced. Its pid and other files are in the folder. The
-- configuration must listen at 127.0.0.1:8080, which becomes a free port.

local folder = require "spec.support.folder"
local free_port = require "spec.support.free_port"
local http = require "spec.support.http"
local shell = require "spec.support.shell"

local plain_nginx = {}

local HEAD = [[
%s
daemon off;
pid pid;
]]
local HTTP = [[
http {
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
]]

local function replace(text, from, to)
  return (text:gsub(from:gsub("%p", "%%%0"), (to:gsub("%%", "%%%%"))))
end

local Front = {}
Front.__index = Front

--- The contents of a file in its folder, "" if there is none.
function Front:read(name)
  return folder.read(self.place .. "/" .. name) or ""
end

--- Ends it and removes its folder.
function Front:stop()
  if self.process then
    self.process:signal "TERM"
    self.process:wait(20)
    self.process:remove()
  end
  folder.remove(self.place)
end

--- Starts one and waits until it listens.
function plain_nginx.start(text, replacements)
  local front = setmetatable({ place = folder.make(), port = free_port() }, Front)
  front.url = "http://127.0.0.1:" .. front.port
  for from, to in pairs(replacements or {}) do text = replace(text, from, to) end
  text = replace(text, "listen 127.0.0.1:8080;", ("listen 127.0.0.1:%d;"):format(front.port))
  text = replace(text, "pid nginx.pid;", "")
  text = replace(text, "http {\n", HTTP)
  local user = shell.run "test $(id -u) = 0" == 0 and "user root;" or ""
  folder.write(front.place .. "/nginx.conf", HEAD:format(user) .. text)
  local command = [[PATH="$PATH:/usr/sbin" exec nginx -e %s/error.log -p %s -c %s/nginx.conf]]
  front.process = shell.start("sh -c " .. shell.quote((command:gsub("%%s", front.place))))
  local client = http.client(front.url, "nobody", "nothing")
  local fine, problem = pcall(shell.eventually, 20, function()
    if front.process:ended() then error("nginx did not start:\n" .. front.process:errors(), 0) end
    local connected, connection = pcall(client.connect, client)
    if connected then connection:close() end
    return connected
  end)
  if fine then return front end
  front:stop()
  error(problem, 2)
end

return plain_nginx
