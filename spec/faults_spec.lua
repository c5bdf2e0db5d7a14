-- for: log_writer.c, log_store.c, log_store_write.c, log_identity.c, log_engine.c, server.c,
-- http_exchange.c, http_acceptor.c. System calls of the unmodified server fail while several
-- connections use it. Whatever it answered must be true: at once, without a restart, and after it
-- is killed.

local fault_load = require "spec.support.fault_load"
local faults = require "spec.support.faults"
local folder = require "spec.support.folder"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"

-- `rules` are those of spec/shim/faults.c. `fails`: requests must fail. `says` is in the error log.
local CASES = {
  { name = "syncs that fail", rules = "fdatasync:EIO:300", fails = true, says = "Input/output error" },
  { name = "a disk that takes no sync", rules = "fdatasync:EIO:1000", fails = true, says = "Input/output error" },
  { name = "writes that fail", rules = "pwrite:EIO:200", fails = true, says = "Input/output error" },
  { name = "writes without room", rules = "pwrite:ENOSPC:200", fails = true,
    says = "the disk that holds the log is full" },
  { name = "writes that stop short", rules = "pwrite:short:200", fails = true, says = "Input/output error" },
  { name = "commits that fail", rules = "meta:EIO:300", fails = true, says = "Input/output error" },
  { name = "commits that fail and are carried out", rules = "meta:EIO!:300", says = "Input/output error" },
  -- LMDB writes the old page back, which fails, too.
  { name = "commits that fail and stay", rules = "meta:EIO!:300 meta:EIO:500", says = "Input/output error" },
  { name = "commits that stop short", rules = "meta:short:300", fails = true, says = "Input/output error" },
  { name = "a log that cannot be opened again", fails = true, says = "the log failed",
    rules = "fdatasync:EIO:300 open:EMFILE:300 mmap:ENOMEM:300" },
  { name = "a disk that is read-only", fails = true, says = "Read-only file system",
    rules = "pwrite:EROFS:1000 meta:EROFS:1000 write:EROFS:1000 open:EROFS:1000 ftruncate:EROFS:1000 " ..
      "fallocate:EROFS:1000 rename:EROFS:1000" },
  { name = "memory that runs short", fails = true, rules = "malloc:ENOMEM:50 calloc:ENOMEM:50 realloc:ENOMEM:200" },
  { name = "connections that break", fails = true, rules = "send:ECONNRESET:50 send:EPIPE:50 recv:ECONNRESET:50" },
  { name = "connections that cannot be accepted", says = "no connection can be accepted",
    rules = "accept:EMFILE:300 accept:ENOMEM:100 accept:ECONNABORTED:200 recv:ECONNRESET:200" },
  { name = "everything at once", fails = true, rules = "fdatasync:EIO:30 pwrite:EIO:20 pwrite:short:20 meta:EIO:30 " ..
    "meta:EIO!:30 open:EMFILE:50 mmap:ENOMEM:50 malloc:ENOMEM:20 calloc:ENOMEM:20 realloc:ENOMEM:20 send:EPIPE:20 " ..
    "recv:ECONNRESET:20 accept:EMFILE:50" },
}

local ALARMS = {
  { raised = "nothing is stored until it works again", cleared = "the log works again" },
  { raised = "no connection can be accepted", cleared = "connections are accepted again" },
  { raised = "nothing is stored until it does", cleared = "the disk answers again" },
}

-- The alarm whose beginning or end the line tells.
local function alarm_of(line)
  for _, alarm in ipairs(ALARMS) do
    if line:find(alarm.raised, 1, true) then return alarm, true end
    if line:find(alarm.cleared, 1, true) then return alarm, false end
  end
end

-- Each condition is logged when it begins and when it ends, and each other line once.
local function check_log(text)
  local raised, seen = {}, {}
  for line in text:gmatch "[^\n]+" do
    assert.truthy(line:find "^upstash%-kafka: ", line)
    local alarm, begins = alarm_of(line)
    if alarm then
      assert.equal(not begins, raised[alarm] or false, text)
      raised[alarm] = begins
    else
      assert.is_nil(seen[line], text)
      seen[line] = true
    end
  end
  for _, alarm in ipairs(ALARMS) do assert.is_falsy(raised[alarm], text) end
end

local reason = faults.missing()
if reason then return pending(reason) end

describe("A14: a server with", function()
  local rules, data, process, client, load

  local function serve(environment)
    process = shell.start(("%s serve --listen 127.0.0.1:0 --data %s --username u --password p"):format(
      shell.command, data), { environment = environment })
    local url = process:expect "listening on (%S+)\n"
    client = kafka.new { url = url, username = "u", password = "p", retries = 0 }
    return url
  end

  local function stop()
    process:signal "TERM"
    assert.equal(0, process:wait())
    local errors = process:errors()
    process:remove()
    process = nil
    return errors
  end

  before_each(function()
    rules, data = faults.new(), folder.quick_name()
    load = fault_load.new(serve(rules:environment()), "u", "p")
    for topic, partitions in pairs(fault_load.TOPICS) do
      assert(client:create_topic(topic, { partitions = partitions }))
    end
  end)

  after_each(function()
    rules:off()
    load:close()
    client:close()
    if process then process:remove() end
    process = nil
    rules:remove()
    folder.remove(data)
  end)

  -- Everything succeeds.
  local function run_well(count)
    local failed = load:failures()
    load:run(count)
    assert.equal(failed, load:failures())
  end

  local function run_faulty(case, count, seed)
    rules:on(case.rules, seed)
    load:run(count)
    assert.is_nil(process:ended())
    assert.is_true(rules:hits() > 0)
  end

  local function recover()
    rules:off()
    load:close()
    shell.eventually(20, function() return (client:health()) end)
    run_well(40)
    assert.same({}, load:verify(client))
    assert.same({}, load:verify_consumed(client))
  end

  local function kill_and_restart()
    process:signal "KILL"
    assert.equal(137, process:wait())
    process:remove()
    load:close()
    serve()
    assert.same({}, load:verify(client))
  end

  local function stop_and_check()
    assert.equal("", stop())
    local status, output, errors = shell.upstash_kafka { "check", data }
    assert.equal(0, status, output .. errors)
  end

  for _, case in ipairs(CASES) do
    it(case.name .. ": every answer is true, and stays true", function()
      run_well(40)
      run_faulty(case, 160, 1)
      if case.fails then assert.is_true(load:failures() > 0) end
      recover()
      local log = process:errors()
      check_log(log)
      if case.says then assert.truthy(log:find(case.says, 1, true), log) end
      run_faulty(case, 80, 2)
      kill_and_restart()
      stop_and_check()
    end)
  end

  -- A start under faults ends with one line that says why, or the server works. Nothing is lost. If
  -- Lua finds no memory, the words are Lua's own.
  local function start_under(fault, seed)
    local pattern = fault:find "ENOMEM" and "%S" or "^upstash%-kafka: [^\n]+\n$"
    rules:on(fault, seed)
    process = shell.start(("%s serve --listen 127.0.0.1:0 --data %s --username u --password p"):format(
      shell.command, data), { environment = rules:environment() })
    local status = shell.eventually(20, function()
      return process:ended() or (process:output():find "PASSWORD" and "works")
    end)
    rules:off()
    if status == "works" then return stop() end
    assert.equal(1, status, fault)
    assert.truthy(process:errors():find(pattern), fault .. ": " .. process:errors())
    process:remove()
    process = nil
  end

  local STARTS = { "fdatasync:EIO", "fsync:EIO", "pwrite:ENOSPC", "pwrite:short", "meta:EIO", "meta:EIO!", "meta:short",
    "write:ENOSPC", "write:short", "mmap:ENOMEM", "open:EROFS", "open:EMFILE", "ftruncate:EIO", "fallocate:ENOSPC",
    "rename:EIO" }

  it("faults while it starts: it says why it cannot, or works, and nothing is lost", function()
    run_well(40)
    stop()
    for _, fault in ipairs(STARTS) do start_under(fault .. ":1000") end
    for seed = 1, 10 do start_under("malloc:ENOMEM:1 calloc:ENOMEM:20 realloc:ENOMEM:1", seed) end
    serve()
    assert.same({}, load:verify(client))
    stop_and_check()
  end)

  it("faults while a new folder is made: it says why it cannot, or works, and the next start does", function()
    stop()
    for _, fault in ipairs(STARTS) do
      for _, permille in ipairs { 1000, 300 } do
        folder.remove(data)
        start_under(fault .. ":" .. permille)
        serve()
        assert(client:produce("t", fault))
        client:close()
        stop_and_check()
      end
    end
  end)

  it("faults while it stops: what was answered is there at the next start", function()
    run_well(40)
    rules:on "fdatasync:EIO:1000 fsync:EIO:1000 pwrite:EIO:1000 meta:EIO:1000 write:ENOSPC:1000 rename:EIO:1000"
    stop()
    serve()
    assert.same({}, load:verify(client))
    stop_and_check()
  end)
end)
