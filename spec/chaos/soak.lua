-- soak.lua: a server at half load. Samples its memory, descriptors, threads and the size of its
-- file, and fails when one of them grows after the first minutes.
--
--   soak.lua               for SOAK_MINUTES, default 20; writes build/soak/soak.tsv and soak.svg
--   soak.lua work ROLE     a producer or a consumer: what it runs itself
--
-- Half load: each producer rests as long as its request took. The topic keeps a few megabytes, and
-- keys a minute, so that the file reaches its size soon. The last line is "N passed, N failed".

local core = require "upstash.kafka.core"
local kafka = require "upstash.kafka"

local TOPIC = "soak"
local WORKERS = { "produce", "produce", "produce", "consume" }
local SAMPLES = 120

local work = {}

function work.produce()
  local client, messages = kafka.new { idempotent = true, retries = 100 }, {}
  for index = 1, 20 do messages[index] = { value = ("v"):rep(200), key = "k" .. index } end
  while true do
    local began = core.now()
    assert(client:produce_many(TOPIC, messages))
    core.sleep(math.max(1, core.now() - began))
  end
end

function work.consume()
  for _ in kafka.new({ retries = 100 }):batches { group = "soak", instance = "one", topic = TOPIC } do end
end

if arg[1] == "work" then return work[arg[2]]() end

local folder = require "spec.support.folder"
local shell = require "spec.support.shell"

local minutes = tonumber(os.getenv "SOAK_MINUTES" or "") or 20
local data = folder.name()
local environment = { UPSTASH_KAFKA_SERVER_USERNAME = "soak", UPSTASH_KAFKA_SERVER_PASSWORD = "secret",
  UPSTASH_KAFKA_REST_USERNAME = "soak", UPSTASH_KAFKA_REST_PASSWORD = "secret" }

-- The value at the end may be `growth` times that after the first third, and `slack` more.
local MEASURES = {
  { name = "memory", unit = "kB", growth = 1.1, slack = 4096 },
  { name = "descriptors", unit = "", growth = 1, slack = 8 },
  { name = "threads", unit = "", growth = 1, slack = 0 },
  { name = "file", unit = "kB", growth = 1.25, slack = 4096 },
}

local function measure(pid)
  local status = folder.read(("/proc/%d/status"):format(pid))
  local _, descriptors = shell.run(("ls /proc/%d/fd | wc -l"):format(pid))
  local file = assert(io.open(data .. "/data.mdb", "rb"))
  local bytes = file:seek "end"
  file:close()
  return { memory = tonumber(status:match "VmRSS:%s*(%d+)"), descriptors = tonumber(descriptors),
    threads = tonumber(status:match "Threads:%s*(%d+)"), file = math.floor(bytes / 1024) }
end

-- A plot of each measure, one above the other.
local function plot(samples)
  local lines = { '<svg xmlns="http://www.w3.org/2000/svg" width="800" height="640" font-family="sans-serif">',
    '<rect width="800" height="640" fill="white"/>' }
  for row, each in ipairs(MEASURES) do
    local top, points = 1, {}
    for _, sample in ipairs(samples) do top = math.max(top, sample[each.name]) end
    for index, sample in ipairs(samples) do
      points[index] = ("%.1f,%.1f"):format(60 + 700 * (index - 1) / math.max(#samples - 1, 1),
        160 * row - 20 - 110 * sample[each.name] / top)
    end
    lines[#lines + 1] = ('<text x="60" y="%d" font-size="14">%s, to %d %s</text>'):format(160 * row - 138, each.name,
      top, each.unit)
    lines[#lines + 1] = ('<polyline fill="none" stroke="#06c" stroke-width="2" points="%s"/>'):format(
      table.concat(points, " "))
    lines[#lines + 1] = ('<path d="M60 %d H760" stroke="#999"/>'):format(160 * row - 20)
  end
  lines[#lines + 1] = '<text x="60" y="638" font-size="12">' .. minutes .. " minutes</text></svg>"
  return table.concat(lines, "\n") .. "\n"
end

local function median(samples, name, first, last)
  local values = {}
  for index = first, last do values[#values + 1] = samples[index][name] end
  table.sort(values)
  return values[math.ceil(#values / 2)]
end

-- Prints the table; returns how many measures are flat, and how many grow.
local function judge(samples)
  local passed, failed, third = 0, 0, math.floor(#samples / 3)
  for _, each in ipairs(MEASURES) do
    local before, after = median(samples, each.name, third, 2 * third), median(samples, each.name, 2 * third, #samples)
    local flat = after <= before * each.growth + each.slack
    print(("soak: %-12s first %d, second third %d, last third %d %s: %s"):format(each.name, samples[1][each.name],
      before, after, each.unit, flat and "flat" or "GROWS"))
    passed, failed = passed + (flat and 1 or 0), failed + (flat and 0 or 1)
  end
  return passed, failed
end

local function save(samples)
  os.execute "mkdir -p build/soak"
  local lines = { "minutes\tmemory kB\tdescriptors\tthreads\tfile kB" }
  for _, sample in ipairs(samples) do
    lines[#lines + 1] = ("%.1f\t%d\t%d\t%d\t%d"):format(sample.at, sample.memory, sample.descriptors, sample.threads,
      sample.file)
  end
  folder.write("build/soak/soak.tsv", table.concat(lines, "\n") .. "\n")
  folder.write("build/soak/soak.svg", plot(samples))
end

local server = shell.start(("%s serve --listen 127.0.0.1:0 --data %s --idempotency-window 60"):format(shell.command,
  data), { environment = environment })
local workers = {}

local fine, problem = pcall(function()
  environment.UPSTASH_KAFKA_REST_URL = server:expect("listening on (%S+)\n", 60)
  local client = kafka.new { url = environment.UPSTASH_KAFKA_REST_URL, username = "soak", password = "secret" }
  assert(client:create_topic(TOPIC, { partitions = 4, retention_bytes = 2 ^ 21 }))
  for index, role in ipairs(WORKERS) do
    workers[index] = shell.start(shell.lua .. " spec/chaos/soak.lua work " .. role, { environment = environment })
  end
  local samples = {}
  for index = 1, SAMPLES do
    core.sleep(math.floor(minutes * 60000 / SAMPLES))
    samples[index] = measure(server.pid)
    samples[index].at = index * minutes / SAMPLES
    for _, worker in ipairs(workers) do assert(not worker:ended(), worker:errors()) end
  end
  save(samples)
  print(("soak: %d messages in %g minutes"):format(
    assert(client:offsets("latest", { topic = TOPIC, partition = 0 }))[1].offset * 4, minutes))
  print(("%d passed, %d failed"):format(judge(samples)))
end)

for _, worker in ipairs(workers) do worker:remove() end
server:remove()
folder.remove(data)
if not fine then
  print(problem)
  print "0 passed, 1 failed"
end
