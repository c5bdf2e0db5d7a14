-- Three servers on three brokers, with a round robin in front. Servers and leaders are killed in
-- turn while others produce and consume.

local chaos = require "spec.support.chaos"
local core = require "upstash.kafka.core"
local free_port = require "spec.support.free_port"
local kafka_cluster = require "spec.support.kafka_cluster"
local plain_nginx = require "spec.support.plain_nginx"
local shell = require "spec.support.shell"

-- A request that a dead server did not take goes to the next one. The client repeats the others.
local ROUND_ROBIN = [[
events { worker_connections 1024; }
http {
  upstream servers { SERVERS }
  server {
    listen 127.0.0.1:8080;
    location / { proxy_pass http://servers; proxy_next_upstream error non_idempotent; }
  }
}
]]

local MINUTES = tonumber(os.getenv "CHAOS_MINUTES" or "") or 2

if not chaos.whole or not chaos.engines[2] then return pending "needs make chaos without a limit of time" end

describe("three servers on three brokers", function()
  local cluster, servers, front, run

  setup(function()
    cluster, servers = kafka_cluster.start { brokers = 3 }, {}
    local lines = {}
    for index = 1, 3 do
      local port = free_port()
      servers[index] = cluster:serve { listen = "127.0.0.1:" .. port, username = "chaos", password = "secret" }
      lines[index] = ("server 127.0.0.1:%d max_fails=0;"):format(port)
    end
    front = plain_nginx.start(ROUND_ROBIN, { SERVERS = table.concat(lines, " ") })
    run = chaos.behind(front.url)
    run.timeout = 3000 -- each poll reaches another server, which takes the instance over
  end)

  teardown(function()
    if run then run:remove() end
    if front then front:stop() end
    for _, server in ipairs(servers or {}) do server:stop() end
    if cluster then cluster:remove() end
  end)

  -- The next broker may be killed only when this one has caught up.
  local function await_replicas()
    shell.eventually(90, function()
      local _, full = cluster:kcat({ "-L", "-t", run.topic, "-m", "5" }):gsub("isrs: %d,%d,%d\n", "")
      return full == chaos.PARTITIONS
    end)
  end

  local function kill_server(round)
    local server = servers[round % 3 + 1]
    server.handle:kill()
    run:progress("produce", "acknowledged", 10)
    server:restart()
  end

  local function kill_leader(round)
    local partition = round % chaos.PARTITIONS
    local leader = shell.eventually(60, function() return cluster:leader(run.topic, partition) end)
    cluster:kill(leader)
    run:progress("produce", "acknowledged", 10)
    cluster:restart(leader)
    await_replicas()
  end

  it("lose nothing that was acknowledged", function()
    run:work("calls", "p1")
    run:work("calls", "p2")
    run:work("producer", "p3")
    run:work("messages", "c1")
    local until_then, round = core.now() + MINUTES * 60000, 0
    repeat
      round = round + 1
      run:progress("produce", "acknowledged", 30)
      kill_server(round)
      run:progress("produce", "acknowledged", 30)
      kill_leader(round)
    until core.now() > until_then
    local report = run:finish()
    chaos.say("three servers on three brokers, %d kills of each kind: %s", round, chaos.describe(report))
    -- What the window of a repeat at another server explains is counted, and nothing else happens.
    assert.equal(0, report.counts.lost)
    assert.equal(0, report.counts.phantom)
    assert.equal(0, report.counts.reordered)
  end)
end)
