-- Three brokers and three replicas, two of which must have a message. One broker at a time is
-- killed or paused while other processes produce and consume through two servers; then what they
-- saw is compared with what the cluster stores.

local folder = require "spec.support.folder"
local history = require "spec.support.history"
local kafka_cluster = require "spec.support.kafka_cluster"
local shell = require "spec.support.shell"

local TOPIC, PARTITIONS = "keyed", 6
local PRODUCERS, CONSUMERS = 3, 2
local PATIENCE = 150 -- seconds: a bound for hangs

describe("three brokers", function()
  local cluster, servers, place, processes, paths

  before_each(function()
    cluster, servers, place, processes, paths = kafka_cluster.start { brokers = 3 }, {}, folder.make(), {}, {}
    for index = 1, 2 do servers[index] = cluster:serve() end
    assert(servers[1]:client():create_topic(TOPIC, { partitions = PARTITIONS }))
  end)

  after_each(function()
    for _, process in ipairs(processes) do process:remove() end
    for _, server in ipairs(servers) do server:stop() end
    cluster:remove()
    folder.remove(place)
  end)

  -- A process with a role of history_worker.lua, on one of the servers.
  local function work(role, index)
    local path = ("%s/%s-%d.log"):format(place, role, index)
    processes[#processes + 1] = shell.start(("%s spec/support/history_worker.lua %s %s-%d %s %s/stop-%s"):format(
      shell.lua, role, role, index, path, place, role), { environment = servers[index % 2 + 1]:environment() })
    paths[role] = paths[role] or {}
    table.insert(paths[role], path)
  end

  local function count_of(path, event)
    return select(2, ("\n" .. (folder.read(path) or "")):gsub("\n" .. event, ""))
  end

  -- Waits until each process of a role has seen that many more events.
  local function progress(role, event, count)
    for _, path in ipairs(paths[role]) do
      local before = count_of(path, event)
      local fine = pcall(shell.eventually, PATIENCE, function() return count_of(path, event) >= before + count end)
      if not fine then error(("%s: less than %d: …%s"):format(path, count, folder.read(path):sub(-500)), 2) end
    end
  end

  -- Ends the processes of a role, which are at these places.
  local function finish(role, from, to)
    folder.write(("%s/stop-%s"):format(place, role), "")
    for index = from, to do
      assert.equal(0, processes[index]:wait(PATIENCE), processes[index]:errors())
      assert.equal("", processes[index]:errors())
    end
  end

  -- The next broker may stop only when this one has caught up.
  local function await_replicas()
    shell.eventually(PATIENCE, function()
      local listing = cluster:kcat { "-L", "-t", TOPIC, "-m", "5" }
      local _, full = listing:gsub("isrs: %d,%d,%d\n", "")
      return full == PARTITIONS
    end)
  end

  local function await_leader(partition)
    return shell.eventually(PATIENCE, function() return cluster:leader(TOPIC, partition) end)
  end

  it("neither lose nor reorder acknowledged messages when one leader is killed and another pauses", function()
    for index = 1, PRODUCERS do work("insist", index) end
    for index = 1, CONSUMERS do work("follow", index) end
    progress("insist", "ok", 20)
    progress("follow", "done", 40)

    local killed = await_leader(0)
    cluster:kill(killed)
    progress("insist", "ok", 40)
    cluster:restart(killed)
    await_replicas()

    local paused = await_leader(1)
    cluster:pause(paused)
    progress("insist", "ok", 40)
    cluster:resume(paused)
    await_replicas()
    progress("insist", "ok", 40)

    finish("insist", 1, PRODUCERS)
    finish("follow", PRODUCERS + 1, PRODUCERS + CONSUMERS)
    local kept = history.kept(servers[1]:client(), { [TOPIC] = PARTITIONS })
    local problems, counts = history.check_retrying(kept, history.read_all(paths.insist))
    local missed, again = history.check_consumers(kept, history.read_all(paths.follow))
    print(("three brokers: %d acknowledged; %d attempts failed, of which %d may have stored their message; "
      .. "%d duplicates kept, %d messages consumed again"):format(
      counts.acknowledged, counts.failed, counts.open, counts.duplicates, again))
    assert.same({}, problems)
    assert.same({}, missed)
    assert.is_true(counts.acknowledged >= PRODUCERS * 140 * 8, counts.acknowledged)
    assert.is_true(counts.duplicates <= counts.open)
  end)
end)
