-- for: log_watch.c, http_reply.c, server.c, server_handle.c. A server whose disk hangs: who is
-- answered what, what the operator learns, and how it stops.

local faults = require "spec.support.faults"
local folder = require "spec.support.folder"
local http = require "spec.support.http"
local moved_clock = require "spec.support.moved_clock"
local shell = require "spec.support.shell"

local missing = faults.missing() or moved_clock.missing()
if missing then return pending(missing) end

describe("A16: on a disk that hangs", function()
  local disk, clock, data, process, client

  local LATE = "^the disk has not answered for %d+ s; the request may have been carried out$"
  local REFUSED = "^the disk has not answered for %d+ s$"
  local LEFT = "the disk has not answered for %d+ s: what was being written may be stored or not, and the data "
    .. "folder stays in use"

  local function environment()
    local both = disk:environment().LD_PRELOAD .. ":" .. clock.library
    return disk:environment { LD_PRELOAD = both, MOVED_CLOCK = clock.path }
  end

  local function serve()
    process = shell.start(("%s serve --listen 127.0.0.1:0 --data %s --username u --password p"):format(
      shell.command, data), { environment = environment() })
    client = http.client(process:expect "listening on (%S+)\n", "u", "p")
  end

  -- Runs a Lua program that starts a server on `data`, prints its URL, and continues when it reads
  -- a line.
  local function run(script)
    process = shell.start(("sh -c %s"):format(shell.quote(("exec %s -e %s <>'%s/in'"):format(shell.lua, shell.quote([[
      local server = require "upstash.kafka.server"
      local options = { listen = "127.0.0.1:0", data = "]] .. data .. [[", username = "u", password = "p" }
      local handle = assert(server.start(options))
      print("at " .. handle:url())
      io.stdout:flush()
      io.read()
    ]] .. script), clock.place))), { environment = environment() })
    client = http.client(process:expect "at (%S+)\n", "u", "p")
  end

  -- Lets the program go on.
  local function go_on()
    local input = assert(io.open(clock.place .. "/in", "r+"))
    input:write "\n"
    input:close()
  end

  before_each(function()
    disk, clock = faults.new(), moved_clock.new()
    assert(os.execute(("mkfifo '%s/in'"):format(clock.place)))
    data = folder.name()
  end)

  after_each(function()
    disk:off()
    client:close()
    process:remove()
    folder.remove(data)
    disk:remove()
    clock:remove()
  end)

  local function hang()
    disk:on "fdatasync:hang:1000"
  end

  local function wait_until_hung()
    shell.eventually(10, function() return select(2, disk:count "fdatasync") > 0 end)
  end

  local function ask(method, path, options)
    return client:request(method, path, options)
  end

  local function text_of(response)
    return (response.body:match '^{"error":"(.-)"')
  end

  local function produce(value)
    return ask("GET", "/produce/t/" .. value)
  end

  local function stored()
    local response = ask("POST", "/fetch?timeout=0", { body = '{"topic":"t","partition":0,"offset":0}' })
    local values = {}
    for value in response.body:gmatch '"value":"(.-)"' do values[#values + 1] = value end
    return table.concat(values, " ")
  end

  -- Sends a request that hangs in the writer. Returns its answer, which comes after ten seconds of
  -- the server's time.
  local function late(method, path, options)
    hang()
    local answer = client:start(method, path, options)
    wait_until_hung()
    assert.equal(200, ask("GET", "/health").status)
    clock:pass(10000)
    http.collect { answer }
    return answer.response
  end

  local function lines_with(pattern)
    return select(2, process:errors():gsub(pattern, ""))
  end

  it("a produce is a 504, the log and health say why, and others are refused", function()
    serve()
    assert.equal(200, produce("before").status)
    local answer = late("GET", "/produce/t/late")
    assert.equal(504, answer.status)
    assert.matches(LATE, text_of(answer))
    assert.is_nil(answer.headers["retry-after"])
    assert.equal(1, lines_with "upstash%-kafka: the disk has not answered for 1%d s; nothing is stored until it does\n")
    local health = ask("GET", "/health")
    assert.equal(503, health.status)
    assert.matches(REFUSED, text_of(health))
    for _, path in ipairs { "/produce/t/refused", "/produce/t/refused" } do
      local refused = ask("GET", path)
      assert.equal(503, refused.status)
      assert.matches(REFUSED, text_of(refused))
    end
    assert.equal("before", stored()) -- reads continue
    disk:off()
    shell.eventually(10, function() return ask("GET", "/health").status == 200 end)
    assert.equal(200, produce("after").status)
    assert.equal("before late after", stored())
    assert.equal(1, lines_with "upstash%-kafka: the disk answers again\n")
    process:signal "TERM"
    assert.equal(0, process:wait())
  end)

  it("topics are created and deleted late", function()
    serve()
    local created = late("POST", "/topics/new")
    assert.equal(504, created.status)
    assert.matches(LATE, text_of(created))
    disk:off()
    shell.eventually(10, function() return ask("GET", "/topics").body:find('"new"', 1, true) end)
    local deleted = late("DELETE", "/topics/new")
    assert.equal(504, deleted.status)
    assert.matches(LATE, text_of(deleted))
    assert.is_truthy(ask("GET", "/topics").body:find('"new"', 1, true))
    disk:off()
    shell.eventually(10, function() return not ask("GET", "/topics").body:find('"new"', 1, true) end)
  end)

  it("a commit is late, and a consume is answered within its timeout", function()
    serve()
    local headers = { ["Kafka-Enable-Auto-Commit"] = "false", ["Kafka-Auto-Offset-Reset"] = "earliest" }
    assert.equal(200, produce("one").status)
    local consumed = ask("GET", "/consume/g/i/t", { headers = headers })
    assert.is_truthy(consumed.body:find('"value":"one"', 1, true))
    local committed = late("POST", "/commit/g/i")
    assert.equal(504, committed.status)
    assert.matches(LATE, text_of(committed))
    local empty = ask("GET", "/consume/g/i/t?timeout=1", { headers = headers })
    assert.equal(200, empty.status)
    assert.equal("[]", empty.body)
    disk:off()
    shell.eventually(10, function()
      return ask("POST", "/committed/g/i", { body = '{"topic":"t","partition":0}' }).body:find('"offset":1', 1, true)
    end)
    assert.equal(200, produce("two").status)
    assert.is_truthy(ask("GET", "/consume/g/i/t", { headers = headers }).body:find('"value":"two"', 1, true))
  end)

  it("a consume that creates its topic is a 504", function()
    serve()
    local answer = late("GET", "/consume/g/i/new?timeout=600000")
    assert.equal(504, answer.status)
    assert.matches(LATE, text_of(answer))
    disk:off()
    shell.eventually(10, function() return ask("GET", "/topics").body:find('"new"', 1, true) end)
  end)

  it("SIGTERM ends the server, which says what it leaves", function()
    serve()
    assert.equal(200, produce("before").status)
    assert.equal(504, late("GET", "/produce/t/late").status)
    process:signal "TERM"
    assert.equal(1, process:wait())
    assert.equal(1, lines_with("upstash%-kafka: serve: " .. LEFT .. "\n"))
    client:close()
    process:remove()
    disk:off()
    serve()
    assert.matches("^before ?", stored())
    assert.is_nil(stored():find("late late", 1, true))
    assert.equal(200, produce("after").status)
  end)

  it("SIGTERM before the disk is known to hang ends the server then", function()
    serve()
    hang()
    local answer = client:start("GET", "/produce/t/late")
    wait_until_hung()
    process:signal "TERM"
    shell.eventually(10, function() return ask("GET", "/health").status == 503 end)
    assert.is_nil(process:ended())
    clock:pass(10000)
    http.collect { answer }
    assert.equal(504, answer.response.status)
    assert.equal(1, process:wait())
    assert.equal(1, lines_with("upstash%-kafka: serve: " .. LEFT .. "\n"))
  end)

  it("a second SIGTERM ends the server at once", function()
    serve()
    hang()
    client:start("GET", "/produce/t/late")
    wait_until_hung()
    process:signal "TERM"
    shell.eventually(10, function() return ask("GET", "/health").status == 503 end)
    process:signal "TERM"
    assert.equal(1, process:wait())
    assert.equal("upstash-kafka: stopped at once by a second signal\n", process:errors())
  end)

  it("handle:stop returns what it left, and can be called again", function()
    run [[
      local stopped, message, details = handle:stop()
      print(stopped, message, details.code)
      print(pcall(handle.url, handle))
      print(tostring(handle))
      print(server.start(options))
      io.stdout:flush()
      io.read()
      while not handle:stop() do end -- until the disk has answered
      print(handle:stop())
      handle = assert(server.start(options))
      print(handle:stop())
    ]]
    assert.equal(504, late("GET", "/produce/t/late").status)
    go_on()
    process:expect "(in use by another server)"
    assert.matches("\nnil\t" .. LEFT .. "\tgateway_timeout\nfalse\tserver is stopped\n"
      .. "upstash%.kafka%.server %(stopped%)\nnil\tdata: the directory [^\n]* is in use by another server "
      .. "%(process %d+%)\t", process:output())
    disk:off()
    go_on()
    assert.equal(0, process:wait())
    assert.matches("\ntrue\ntrue\n$", process:output())
    assert.equal(1, lines_with "upstash%-kafka: the disk answers again\n")
  end)

  it("a handle that is collected does not hang", function()
    run [[
      handle = nil
      collectgarbage()
      print "collected"
    ]]
    assert.equal(504, late("GET", "/produce/t/late").status)
    go_on()
    assert.equal(0, process:wait())
    assert.matches("\ncollected\n$", process:output())
    assert.equal(1, lines_with("upstash%-kafka: " .. LEFT .. "\n"))
  end)
end)
