--- What the specs in spec/chaos share: how long they last, the engines, and a run: a server as a
-- process of its own, workers that produce to a topic and consume it, and the check of what they
-- saw.
--
--     for round in chaos.rounds { short = 3, full = 200 } do … end
--
--     local run = chaos.start "log"
--     run:work("calls", "p1")
--     run:work("messages", "c1")
--     run:progress("calls", 100)
--     run:kill_server()
--     local report = run:finish()
--     run:remove()
--
-- `make test` runs the short parts, and `make chaos`, which sets CHAOS, all of them. If
-- CHAOS_SECONDS is set too, no part begins another round after its share of that time. CHAOS_KAFKA
-- is the address of a Kafka cluster, on which the parts run, too.

local delivery = require "spec.support.delivery"
local folder = require "spec.support.folder"
local free_port = require "spec.support.free_port"
local shell = require "spec.support.shell"

local budget = tonumber(os.getenv "CHAOS_SECONDS" or "")
local brokers = os.getenv "CHAOS_KAFKA" or ""

local chaos = {
  --- Whether the parts run at more than their shortest.
  full = (os.getenv "CHAOS" or "") ~= "",
  --- The engines to run on.
  engines = brokers ~= "" and { "log", "kafka" } or { "log" },
}

--- The partitions of a run's topic.
chaos.PARTITIONS = 4

--- Whether there is no limit of time.
chaos.whole = chaos.full and not budget

local PATIENCE = 240 -- seconds without any progress: a bound for hangs

--- Counts rounds: `short` of them in make test; `full` in make chaos, where `share`, a part of
-- CHAOS_SECONDS, may end them earlier, but not before the short ones.
function chaos.rounds(options)
  local began, round = os.time(), 0
  return function()
    round = round + 1
    if round <= options.short then return round end
    local late = budget and os.time() - began >= budget * (options.share or 0.05)
    if chaos.full and not late and round <= options.full then return round end
  end
end

--- Prints a line that `make chaos` shows.
function chaos.say(...)
  print("chaos: " .. string.format(...))
end

--- The counts of a report, in words.
function chaos.describe(report)
  local counts = report.counts
  return ("%d acknowledged, %d unknown, %d refused, %d stored, %d received; "
    .. "%d lost, %d duplicated, %d reordered, %d phantom; %d copies, %d received again"):format(
    counts.acknowledged, counts.unknown, counts.refused, counts.stored, counts.received,
    counts.lost, counts.duplicated, counts.reordered, counts.phantom, counts.copies, counts.again)
end

local Run = {}
Run.__index = Run

-- Starts the server's process, at the same port and data as before.
function Run:start_server()
  local line = ("%s %s serve --listen 127.0.0.1:%d %s %s"):format(self.before, shell.command, self.port, self.where,
    self.options)
  self.server = shell.start(line, { environment = self.server_environment })
  self.server:expect("listening on (%S+)\n", 60)
end

local function new_run()
  return setmetatable({
    place = folder.make(), data = folder.quick_name(), processes = {}, paths = {}, topic = "chaos",
    group = "group", before = "", options = "",
    server_environment = { UPSTASH_KAFKA_SERVER_USERNAME = "chaos", UPSTASH_KAFKA_SERVER_PASSWORD = "secret" },
  }, Run)
end

local function name_apart(run)
  local kafka_cluster = require "spec.support.kafka_cluster"
  run.topic, run.group = kafka_cluster.name "chaos", kafka_cluster.name "group"
end

local function create_topic(run)
  run.client = run:new_client()
  assert(run.client:create_topic(run.topic, { partitions = chaos.PARTITIONS }))
end

--- Starts a server and creates a topic. `options`: `serve`, more options of upstash-kafka serve;
-- `before`, words before the command; `environment` of the server.
function chaos.start(engine, options)
  options = options or {}
  local run = new_run()
  run.engine, run.port = engine, free_port()
  run.url = "http://127.0.0.1:" .. run.port
  run.before, run.options = options.before or "", options.serve or ""
  for name, value in pairs(options.environment or {}) do run.server_environment[name] = value end
  run.where = engine == "kafka" and "--brokers " .. brokers or "--data " .. run.data
  if engine == "kafka" then name_apart(run) end
  local fine, problem = pcall(function()
    run:start_server()
    create_topic(run)
  end)
  if fine then return run end
  run:remove()
  error(problem, 2)
end

--- A run with servers on a Kafka cluster that the caller started, for user "chaos" and password
-- "secret".
function chaos.behind(url)
  local run = new_run()
  run.url = url
  name_apart(run)
  create_topic(run)
  return run
end

--- A client of the server itself, without a proxy.
function Run:new_client()
  return require("upstash.kafka").new { url = self.url, username = "chaos", password = "secret", retries = 100,
    retry_delay = 20, retry_delay_max = 500, timeout = 60000 }
end

--- Variables that reach the server, or a proxy at `url`.
function Run:environment(url)
  return { UPSTASH_KAFKA_REST_URL = url or self.url, UPSTASH_KAFKA_REST_USERNAME = "chaos",
    UPSTASH_KAFKA_REST_PASSWORD = "secret",
    DELIVERY_PAUSE = self.pause or 5, DELIVERY_PASSES = self.passes, DELIVERY_TIMEOUT = self.timeout }
end

--- Where a worker of that kind writes, and the file that ends it. Adds it to what is checked.
function Run:path(kind, name)
  self.paths[kind] = self.paths[kind] or {}
  local path = ("%s/%s-%s-%d"):format(self.place, kind, name, #self.paths[kind] + 1)
  table.insert(self.paths[kind], path)
  return path, ("%s/stop-%s"):format(self.place, kind)
end

-- What a role of delivery_worker.lua does.
local KINDS = { calls = "produce", once = "produce", producer = "produce",
  curl_plain = "produce", curl_keys = "produce",
  messages = "consume", batches = "consume", consume = "consume", curl_take = "consume", curl_acks = "consume" }

--- Starts a worker. `options`: `url` of a proxy, `count` of requests, `group`.
function Run:work(role, name, options)
  options = options or {}
  local path, stop = self:path(KINDS[role], name)
  local words = { role, name, path, stop, self.topic, options.group or self.group, options.count }
  local process = shell.start(("%s spec/support/delivery_worker.lua %s"):format(shell.lua, shell.words(words)),
    { environment = self:environment(options.url) })
  process.kind, process.path = KINDS[role], path
  self.processes[#self.processes + 1] = process
  return process
end

--- What chaos's workers need in nginx: options of nginx.start.
chaos.NGINX = {
  main = "env UPSTASH_KAFKA_REST_URL; env UPSTASH_KAFKA_REST_USERNAME; env UPSTASH_KAFKA_REST_PASSWORD;",
  locations = [[
    location /work {
      content_by_lua_block {
        local settings = ngx.req.get_uri_args()
        local fine, problem = pcall(require("spec.support.delivery_worker").run, settings.role, settings)
        local file = io.open(settings.path .. ".done", "w")
        file:write(fine and "" or tostring(problem))
        file:close()
      }
    }
  ]],
}

local Request = {}
Request.__index = Request

function Request:ended()
  local problem = folder.read(self.path .. ".done")
  return problem and (problem == "" and 0 or 1)
end

function Request:errors()
  return folder.read(self.path .. ".done")
end

function Request:remove()
  self.pending.connection:close()
end

--- The same in a request of nginx: one of spec/support/nginx.lua with chaos.NGINX and the run's
-- environment.
function Run:work_in_nginx(nginx, role, name)
  local path, stop = self:path(KINDS[role], name)
  local query = ("/work?role=%s&name=%s&path=%s&stop=%s&topic=%s&group=%s"):format(role, name, path, stop, self.topic,
    self.group)
  local request = setmetatable({ kind = KINDS[role], path = path, pending = nginx:begin(query) }, Request)
  self.processes[#self.processes + 1] = request
  return request
end

local function count_of(path, event)
  return select(2, ("\n" .. (folder.read(path) or "")):gsub("\n" .. event .. "\t", ""))
end

--- How many events of that name the workers of a kind have written.
function Run:count(kind, event)
  local count = 0
  for _, path in ipairs(self.paths[kind] or {}) do count = count + count_of(path, event) end
  return count
end

-- Fails early when a worker has ended by an error.
function Run:check_workers()
  for _, process in ipairs(self.processes) do
    local status = not process.killed and process:ended()
    if status and status ~= 0 then error(("%s: %s"):format(process.path, process:errors()), 0) end
  end
end

--- Waits until `reached` returns true. Raises when `measure`, a number, stays the same for long.
function Run:await(measure, reached)
  local last, since = nil, os.time()
  while not reached() do
    self:check_workers()
    local now = measure()
    if now ~= last then last, since = now, os.time() end
    if os.time() - since > PATIENCE then error(("no progress since %s"):format(tostring(last)), 2) end
    require("upstash.kafka.core").sleep(20)
  end
end

--- Waits until the workers of a kind have written so many more events.
function Run:progress(kind, event, more)
  local wanted = self:count(kind, event) + more
  local function measure() return self:count(kind, event) end
  self:await(measure, function() return measure() >= wanted end)
end

function Run:kill_server()
  self.server:signal "KILL"
  self.server:wait()
  self.server:remove()
end

--- Kills the server and starts it again on the same data and port.
function Run:restart_server()
  self:kill_server()
  self:start_server()
end

-- Ends the workers of a kind.
function Run:stop(kind)
  folder.write(("%s/stop-%s"):format(self.place, kind), "")
  for _, process in ipairs(self.processes) do
    if process.kind == kind and not process.killed then
      self:await(function() return self:count("consume", "received") + self:count("produce", "sent") end,
        function() return process:ended() end)
      assert(process:ended() == 0, process:errors())
    end
  end
end

-- Waits until the group has handled what the log has, or nothing comes any more.
function Run:drain(log)
  local wanted = 0
  for _, values in pairs(log) do
    for offset = 0, values.count - 1 do wanted = wanted + (values[offset] and 1 or 0) end
  end
  local function measure() return self:count("consume", "received") + self:count("consume", "handled") end
  pcall(self.await, self, measure, function()
    if self:count("consume", "received") < wanted then return false end
    local places, count = {}, 0
    for _, seen in ipairs(delivery.read_all(self.paths.consume)) do
      for _, event in ipairs(seen.events) do
        local name = event.partition .. " " .. event.offset
        if event.what ~= "received" and not places[name] then places[name], count = true, count + 1 end
      end
    end
    return count >= wanted
  end)
end

--- Ends the producers, waits until the consumers have read everything, ends them, and checks the
-- history. `options` are those of delivery.check.
function Run:finish(options)
  self:stop "produce"
  local log = delivery.log(self.client, self.topic)
  if self.paths.consume and not (options and options.lossy) then self:drain(log) end
  self:stop "consume"
  local history = { producers = delivery.read_all(self.paths.produce or {}), log = log,
    consumers = self.paths.consume and delivery.read_all(self.paths.consume) }
  for name, value in pairs(options or {}) do history[name] = value end
  return delivery.check(history)
end

--- Ends everything and removes it.
function Run:remove()
  for _, process in ipairs(self.processes) do process:remove() end
  if self.client then self.client:close() end
  if self.server then self.server:remove() end
  folder.remove(self.place)
  folder.remove(self.data)
end

return chaos
