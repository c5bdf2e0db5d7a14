--- A server in this process, with an empty data folder, for tests.
--
--     local server = require("spec.support.server").start()
--     local client = server:client { retries = 0 }
--     server:stop()
--
-- With another `launch` the server may be elsewhere: kafka_cluster.lua starts processes.

local folder = require "spec.support.folder"

local Server = {}
Server.__index = Server

local support = {}

local count = 0

-- Random, because several processes of a run start together and may share a cluster.
local function random_hex(bytes)
  local file = assert(io.open("/dev/urandom", "rb"))
  local text = file:read(bytes):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  file:close()
  return text
end

local run = random_hex(6)

local function launch_here(options)
  return require("upstash.kafka.server").start(options)
end

--- Starts a server. `options` are those of server.start; the defaults suit a test. `launch` takes
-- all options and returns a handle with `url` and `stop`, as server.start does, or nil and a
-- message. Without `launch` the server runs in this process.
function support.start(options, launch)
  local all = { listen = "127.0.0.1:0", username = "tester", password = "p:ss wörd", data = folder.name() }
  for key, value in pairs(options or {}) do all[key] = value end
  launch = launch or launch_here
  local handle = assert(launch(all))
  return setmetatable({
    handle = handle, url = handle:url(), username = all.username, password = all.password,
    data = all.data, options = all, launch = launch,
  }, Server)
end

--- Options for kafka.new that reach the server; `more` adds to them or replaces them.
function Server:access(more)
  local all = { url = self.url, username = self.username, password = self.password }
  for key, value in pairs(more or {}) do all[key] = value end
  return all
end

--- Environment variables that reach the server; `more` adds to them or replaces them.
function Server:environment(more)
  local all = {
    UPSTASH_KAFKA_REST_URL = self.url,
    UPSTASH_KAFKA_REST_USERNAME = self.username,
    UPSTASH_KAFKA_REST_PASSWORD = self.password,
  }
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

--- A new client of the server.
function Server:client(more)
  return require("upstash.kafka").new(self:access(more))
end

--- A name that neither another test nor another run on the same cluster uses.
function support.name(stem)
  count = count + 1
  return ("%s-%s-%d"):format(stem or "name", run, count)
end

--- Creates a topic with the values "1", "2", …, spread over its partitions. Returns its name.
function Server:topic(partitions, messages)
  local client, topic = self:client(), support.name "topic"
  assert(client:create_topic(topic, { partitions = partitions }))
  self:fill(topic, 1, messages or 0, partitions)
  client:close()
  return topic
end

--- Produces the values first, …, last, spread over the partitions.
function Server:fill(topic, first, last, partitions)
  if last < first then return end
  local client, messages = self:client(), {}
  for number = first, last do
    messages[#messages + 1] = { value = tostring(number), partition = (number - 1) % partitions }
  end
  assert(client:produce_many(topic, messages))
  client:close()
end

--- The group's committed offset in a partition, -1 if there is none.
function Server:committed(group, topic, partition)
  local client = self:client()
  local offsets = assert(client:committed(group, "nobody", { topic = topic, partition = partition or 0 }))
  client:close()
  return offsets[1].offset
end

--- The names of a group's live instances, sorted.
function Server:instances(group)
  local client, names = self:client(), {}
  for _, entry in ipairs(assert(client:consumers())) do
    for _, instance in ipairs(entry.name == group and entry.instances or {}) do
      names[#names + 1] = instance.name
    end
  end
  client:close()
  table.sort(names)
  return names
end

--- Restarts the server on the same data, at another address if `listen` is given.
function Server:restart(listen)
  self.handle:stop()
  self.options.listen = listen or self.options.listen
  self.handle = assert(self.launch(self.options))
  self.url = self.handle:url()
end

--- Stops the server and removes its data.
function Server:stop()
  self.handle:stop()
  folder.remove(self.data)
end

return support
