-- Two servers behind nginx are restarted one after the other, under load of produces with keys and
-- of consumes: no request fails, and no message is stored twice.

local free_port = require "spec.support.free_port"
local folder = require "spec.support.folder"
local http = require "spec.support.http"
local kafka_cluster = require "spec.support.kafka_cluster"
local plain_nginx = require "spec.support.plain_nginx"
local shell = require "spec.support.shell"

local WORKERS, ROUNDS = 2, 2
local PATIENCE = 120 -- seconds for a stop or a start on a busy machine

if shell.run [[PATH="$PATH:/usr/sbin" sh -c 'command -v nginx']] ~= 0 then return pending "nginx is not installed" end

describe("a rolling restart of two servers behind nginx", function()
  local cluster, front, place
  local ports, servers = {}, {}

  local function start(number)
    servers[number] = cluster:serve { listen = "127.0.0.1:" .. ports[number], password = "secret" }
  end

  setup(function()
    cluster, place = kafka_cluster.shared(), folder.make()
    local replacements = { ["worker_processes auto;"] = "worker_processes 1;" }
    for number = 1, 2 do
      ports[number] = free_port()
      start(number)
    end
    for number = 1, 2 do
      replacements[("server 127.0.0.1:808%d "):format(number)] = ("server 127.0.0.1:%d "):format(ports[number])
    end
    replacements["server 127.0.0.1:8083 "] = "server 127.0.0.1:1 down "
    front = plain_nginx.start(folder.read "examples/nginx-servers/nginx.conf", replacements)
  end)
  teardown(function()
    if front then front:stop() end
    for _, server in pairs(servers) do server:stop() end
    folder.remove(place)
  end)

  it("fails no request and stores nothing twice", function()
    local topic, workers, flag = "rolling-" .. ports[1], {}, place .. "/go"
    folder.write(flag, "")
    for number = 1, WORKERS do
      workers[number] = shell.start(("%s spec/support/rolling_worker.lua %s %s secret %s %s-%d %s"):format(
        shell.lua, front.url, servers[1].username, topic, topic, number, flag))
    end
    for _ = 1, ROUNDS do
      for number = 1, 2 do
        servers[number].handle:signal "TERM"
        local status = shell.eventually(PATIENCE, function() return servers[number].handle:ended() end)
        assert.equal(0, status, servers[number].handle:errors())
        start(number)
      end
    end
    os.remove(flag)
    local stored = 0
    for _, worker in ipairs(workers) do
      worker:wait(PATIENCE)
      local out = worker:output()
      assert.is_nil(out:match "failed[^\n]*", out)
      stored = stored + tonumber(out:match "stored (%d+)")
      worker:remove()
    end
    local client = http.client(servers[1].url, servers[1].username, servers[1].password)
    local response = client:request("POST", "/offsets/latest", { body = ('{"topic":%q,"partition":0}'):format(topic) })
    client:close()
    assert.equal(stored, tonumber(response.body:match '"offset":(%d+)'))
  end)
end)
