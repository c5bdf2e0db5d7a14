--- Kafka for the specs in spec/kafka: clusters that .ci/kafka runs, and processes of
-- `upstash-kafka serve` in front of them.
--
--     local kafka_cluster = require "spec.support.kafka_cluster"
--
--     local cluster = kafka_cluster.shared()            -- one broker, for every spec of a run
--     local server = cluster:serve { partitions = 4 }   -- a process with server.lua's methods
--     assert(server:client():produce(kafka_cluster.name "topic", "hello"))
--     server.handle:kill()                              -- for more methods see Process below
--     server:restart()                                  -- at the port in `listen`, if any
--     server:stop()
--
--     local three = kafka_cluster.start { brokers = 3 } -- a cluster for this caller only
--     local killed = three:leader(topic, 0)
--     three:kill(killed)
--     three:restart(killed)
--     three:remove()
--
-- KAFKA_VERSION and KAFKA_PORTS are those of .ci/kafka. Failures raise an error.

local shell = require "spec.support.shell"
local support = require "spec.support.server"

local kafka_cluster = {
  --- The version of Kafka that the specs run on.
  version = os.getenv "KAFKA_VERSION" or "4.1.1",
  --- A name for a topic or group that no other test uses, nor another run.
  name = support.name,
}

-- seconds: Kafka may have to be downloaded, and another start may hold the lock
local FIRST_START = 400

local Cluster = {}
Cluster.__index = Cluster

-- The cluster in a folder under build/kafka, started if it is not running.
local function open(folder, environment)
  environment.KAFKA_RUN = ("%s/build/kafka/run-%s-%s"):format(shell.here, environment.KAFKA_VERSION, folder)
  local cluster = setmetatable({ environment = environment, run = environment.KAFKA_RUN }, Cluster)
  cluster.brokers = cluster:call({ "start" }, { seconds = FIRST_START }):match "%S+"
  return cluster
end

--- The one-broker cluster that all specs of this run and later runs share. Use it only with topics
-- and groups whose names come from `name`; do not stop or kill it, or change its permissions.
function kafka_cluster.shared()
  return open("1", { KAFKA_VERSION = kafka_cluster.version, KAFKA_BROKERS = 1, KAFKA_ACL = 0 })
end

--- A cluster for this caller only, which must remove it. Options: `brokers`, 1 (the default) or 3;
-- `acl = true`: clients log in as admin:admin-secret or limited:limited-secret; `properties`, a
-- table of broker properties; `version`.
function kafka_cluster.start(options)
  options = options or {}
  local lines = {}
  for name, value in pairs(options.properties or {}) do lines[#lines + 1] = ("%s=%s"):format(name, value) end
  return open(support.name "spec", {
    KAFKA_VERSION = options.version or kafka_cluster.version,
    KAFKA_BROKERS = options.brokers or 1,
    KAFKA_ACL = options.acl and 1 or 0,
    KAFKA_PROPERTIES = table.concat(lines, "\n"),
  })
end

--- Runs .ci/kafka with words; returns its output, status and standard error. Options are those of
-- shell.run, and `fails = true` to return even if the status is not 0.
function Cluster:call(words, options)
  local all = { environment = self.environment, seconds = 300 }
  for name, value in pairs(options or {}) do all[name] = value end
  local status, out, err = shell.run(".ci/kafka " .. shell.words(words), all)
  if status ~= 0 and not all.fails then
    error((".ci/kafka %s: status %s\n%s%s"):format(table.concat(words, " "), status, out, err), 2)
  end
  return out, status, err
end

--- The bootstrap address, or the address of broker N.
function Cluster:address(number)
  return self:call({ "address", number }):match "%S+"
end

--- The number of the broker that leads a partition, or nil if it has no leader.
function Cluster:leader(topic, partition)
  return tonumber((self:call({ "leader", topic, partition }, { fails = true })))
end

-- cluster:kill(N), …: acts on broker N. `kill` and `term` return when it has ended, `restart` when
-- it answers.
for _, name in ipairs { "kill", "term", "pause", "resume", "restart" } do
  Cluster[name] = function(self, number) self:call { name, number } end
end

-- cluster:groups { "--describe", "--group", group }, …: runs Kafka's own command with all
-- permissions, and returns its output. Java takes a second or two to start.
for _, name in ipairs { "topics", "groups", "acls", "configs", "offsets", "java" } do
  Cluster[name] = function(self, words, options)
    return (self:call({ name, (table.unpack or unpack)(words) }, options))
  end
end

--- Runs kcat against the cluster; returns its output. Options are those of shell.run.
function Cluster:kcat(words, options)
  local status, out, err = shell.run(("kcat -b %s %s"):format(self.brokers, shell.words(words)), options)
  if status ~= 0 then error(("kcat %s: status %s\n%s"):format(table.concat(words, " "), status, err), 2) end
  return out
end

--- Ends all brokers and removes their data.
function Cluster:remove()
  self:call { "remove" }
end

-- Servers -----------------------------------------------------------------------------------------

local Process = {}
Process.__index = Process

--- The URL where it listens.
function Process:url()
  return self.address
end

--- Sends SIGTERM, waits for the end, and discards the output.
function Process:stop()
  if self.stopped then return end
  self.stopped = true
  self:signal "CONT"
  self:signal "TERM"
  self.process:wait(60)
  self.process:remove()
end

--- Sends SIGKILL and waits for the end. You may call `stop` afterwards.
function Process:kill()
  self:signal "KILL"
  self.process:wait(10)
end

--- Sends a signal: "TERM", "STOP", "CONT", …
function Process:signal(name)
  if not self.process:ended() then self.process:signal(name) end
end

--- The exit status, or nil while it runs.
function Process:ended()
  return self.process:ended()
end

--- The standard error so far.
function Process:errors()
  return self.process:errors()
end

--- The standard output so far.
function Process:output()
  return self.process:output()
end

local function add_pairs(words, flag, map)
  for name, value in pairs(map or {}) do
    words[#words + 1], words[#words + 2] = flag, ("%s=%s"):format(name, tostring(value))
  end
end

local flags = { auto_create_topics = { [false] = "--no-auto-create-topics" }, no_sync = { [true] = "--no-sync" } }
local apart = { data = true, password = true, properties = true, property_files = true }

-- The options of server.start as command-line options. The password is in the environment.
local function words_of(options)
  local words = { "serve" }
  for name, value in pairs(options) do
    if flags[name] then
      words[#words + 1] = flags[name][value]
    elseif not apart[name] then
      words[#words + 1], words[#words + 2] = "--" .. name:gsub("_", "-"), tostring(value)
    end
  end
  add_pairs(words, "--set", options.properties)
  add_pairs(words, "--set-file", options.property_files)
  return words
end

local function launch(options)
  local process = shell.start(shell.command .. " " .. shell.words(words_of(options)),
    { environment = { UPSTASH_KAFKA_SERVER_PASSWORD = options.password } })
  local fine, address = pcall(process.expect, process, "listening on (%S+)\n", 30)
  if not fine then
    process:remove()
    return nil, address
  end
  return setmetatable({ process = process, address = address, pid = process.pid }, Process)
end

--- Starts a process of `upstash-kafka serve` in front of the cluster: a server of server.lua whose
-- handle is a Process. `options` are those of server.start.
function Cluster:serve(options)
  local all = { brokers = self.brokers }
  for name, value in pairs(options or {}) do all[name] = value end
  return support.start(all, launch)
end

return kafka_cluster
