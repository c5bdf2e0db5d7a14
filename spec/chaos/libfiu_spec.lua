-- for: log_writer.c, log_store.c, log_engine.c, server.c, http_exchange.c. libfiu makes the system
-- calls of the unmodified server fail at random while others produce and consume.

local chaos = require "spec.support.chaos"
local folder = require "spec.support.folder"
local shell = require "spec.support.shell"

local ENOSPC, EIO, ENOMEM, EPIPE, ECONNRESET = 28, 5, 12, 32, 104
local WRITES = { "posix/io/rw/write", "posix/io/rw/pwrite", "posix/io/rw/writev", "posix/io/rw/pwritev" }
local SENDS = { "posix/io/net/send", "posix/io/net/sendmsg" }

local CASES = {
  { name = "fdatasync", points = { "posix/io/sync/fdatasync" }, error = EIO, probabilities = { 0.02, 0.3, 1 },
    short = true },
  { name = "write", points = WRITES, error = EIO, probabilities = { 0.01, 0.1 } },
  { name = "write without room", points = WRITES, error = ENOSPC, probabilities = { 0.02, 0.2 } },
  { name = "mmap", points = { "posix/mm/mmap" }, error = ENOMEM, probabilities = { 0.1, 0.5 } },
  { name = "malloc", points = { "libc/mm/malloc", "libc/mm/calloc" }, error = ENOMEM,
    probabilities = { 0.001, 0.01, 0.1 }, short = true },
  { name = "realloc", points = { "libc/mm/realloc" }, error = ENOMEM, probabilities = { 0.01, 0.2 } },
  { name = "send", points = SENDS, error = EPIPE, probabilities = { 0.02, 0.2 } },
  { name = "recv", points = { "posix/io/net/recv", "posix/io/net/recvfrom" }, error = ECONNRESET,
    probabilities = { 0.02, 0.2 } },
}

if shell.run "command -v fiu-run" ~= 0 then return pending "needs fiu-run: .ci/deps chaos" end
if os.getenv "LD_PRELOAD" then return pending "needs LD_PRELOAD, which is in use" end

describe("libfiu:", function()
  local run, place

  before_each(function()
    place = folder.make()
    -- The server takes a connection that works for one that breaks within a request.
    run = chaos.start("log", { before = "fiu-run -x -f " .. place .. "/fiu" })
    run.passes = "bad_request"
  end)

  after_each(function()
    run:remove()
    folder.remove(place)
  end)

  -- A command whose answer fails was carried out nevertheless: the server's own calls fail.
  local function control(command)
    assert.equal(0, shell.run(("timeout 10 fiu-ctrl -f %s/fiu -c %s %d"):format(place, shell.quote(command),
      run.server.pid)))
  end

  local function enable(case, probability)
    for _, point in ipairs(case.points) do
      control(("enable_random name=%s,failinfo=%d,probability=%g"):format(point, case.error, probability))
    end
  end

  local function disable(case)
    for _, point in ipairs(case.points) do control("disable name=" .. point) end
  end

  -- The outcomes of requests, by their code.
  local function outcomes()
    local codes, list = {}, {}
    for _, path in ipairs(run.paths.produce) do
      for code in (folder.read(path) or ""):gmatch "\n[ru]%l+\t%d+\t([%l_]+)" do
        codes[code] = (codes[code] or 0) + 1
      end
    end
    for code, count in pairs(codes) do list[#list + 1] = ("%d %s"):format(count, code) end
    table.sort(list)
    return #list > 0 and table.concat(list, ", ") or "no failures"
  end

  local function try(case, probability)
    for index = 1, 3 do run:work("once", "p" .. index) end
    run:work("messages", "c1")
    run:progress("produce", "acknowledged", 30)
    enable(case, probability)
    run:progress("produce", "sent", chaos.whole and 400 or 60)
    disable(case)
    assert.is_nil(run.server:ended())
    shell.eventually(30, function() return (run.client:health()) end)
    run:progress("produce", "acknowledged", 30)
    run:restart_server()
    run:progress("produce", "acknowledged", 10)
    return run:finish()
  end

  local function probabilities_of(case)
    if chaos.whole then return case.probabilities end
    return (chaos.full or case.short) and { case.probabilities[#case.probabilities] } or {}
  end

  for _, case in ipairs(CASES) do
    for _, probability in ipairs(probabilities_of(case)) do
      it(("%s fails with a probability of %g"):format(case.name, probability), function()
        local report = try(case, probability)
        chaos.say("libfiu, %s at %g: %s; %s", case.name, probability, outcomes(), chaos.describe(report))
        assert.same({}, report.faults)
      end)
    end
  end
end)
