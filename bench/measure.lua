-- measure: shared by the scripts of this folder: a server to measure, programs that print figures,
-- medians of rounds.

local programs = "build/bench/"
local rounds = tonumber(os.getenv "BENCH_ROUNDS") or 9
local credentials = "bench:bench"
-- In front of the interpreter, the interpreter, port, directory.
local server_command = "UPSTASH_KAFKA_SERVER_USERNAME=bench UPSTASH_KAFKA_SERVER_PASSWORD=bench %s%s " ..
  "bin/upstash-kafka serve --listen 127.0.0.1:%s --data %s/data"

local function capture(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  local ok = pipe:close()
  assert(ok, "failed: " .. command)
  local figures = {}
  for figure in text:gmatch "%S+" do figures[#figures + 1] = tonumber(figure) end
  return table.unpack(figures)
end

local function median(list)
  table.sort(list)
  local middle = (#list + 1) // 2
  return #list % 2 == 1 and list[middle] or (list[middle] + list[middle + 1]) / 2
end

local function describe(list, format)
  local mid = median(list)
  return string.format("%s (%s to %s)", format:format(mid), format:format(list[1]), format:format(list[#list]))
end

local function temporary()
  return assert(io.popen("mktemp -d"):read "l")
end

-- A server on a free port with its own data directory; `stop` removes both. `prefix` goes before
-- its command.
local function serve(lua, options, prefix)
  local directory = temporary()
  local log = directory .. "/serve.out"
  os.execute(string.format(server_command .. " %s >%s 2>&1 & echo $! >%s/pid", prefix or "", lua, 0, directory,
    options or "", log, directory))
  local url
  for _ = 1, 200 do
    local file = io.open(log)
    url = file and (file:read "l" or ""):match "listening on (http://%S+)"
    if file then file:close() end
    if url then break end
    os.execute "sleep 0.05"
  end
  assert(url, "the server did not start: " .. log)
  local pid = io.open(directory .. "/pid"):read "l"
  return {
    url = url, port = url:match ":(%d+)$", pid = pid,
    stop = function()
      os.execute("kill " .. pid .. "; while kill -0 " .. pid .. " 2>/dev/null; do sleep 0.05; done")
      os.execute("rm -rf " .. directory)
    end,
  }
end

-- Alternates between both sides, `rounds` times; prints each side and the ratio of each round.
local function compare(title, unit, ours, theirs, wanted)
  local a, b, ratios = {}, {}, {}
  for round = 1, rounds do
    a[round], b[round] = ours(round), theirs(round)
    ratios[round] = a[round] / b[round]
  end
  print(title)
  print("  ours      " .. describe(a, "%.0f") .. " " .. unit)
  print("  compared  " .. describe(b, "%.0f") .. " " .. unit)
  print("  ratio     " .. describe(ratios, "%.2f") .. "  wanted >= " .. wanted)
end

-- The processor time that the living threads of a process have used so far, in seconds. The
-- scheduler counts nanoseconds; the ticks of /proc/PID/stat are too coarse for a short run.
local function processor_time(pid)
  local pipe = assert(io.popen("cat /proc/" .. pid .. "/task/*/schedstat"))
  local nanoseconds = 0
  for line in pipe:lines() do nanoseconds = nanoseconds + tonumber(line:match "^%d+") end
  assert(pipe:close())
  return nanoseconds / 1e9
end

return {
  programs = programs, rounds = rounds, credentials = credentials, server_command = server_command,
  processor_time = processor_time,
  capture = capture, median = median, describe = describe, temporary = temporary, serve = serve, compare = compare,
}
