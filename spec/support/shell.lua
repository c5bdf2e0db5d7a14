--- Shell commands: their status and output, and background processes.

local folder = require "spec.support.folder"

local shell = {}

--- The Lua that runs the tests, as a command.
shell.lua = os.getenv "TEST_LUA" or (rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match "%d+%.%d+")

--- The command upstash-kafka: UPSTASH_KAFKA_BIN, or the checkout's on the Lua that runs the tests.
shell.command = os.getenv "UPSTASH_KAFKA_BIN" or shell.lua .. " bin/upstash-kafka"

-- On some systems each start of `serve` has a line that is no error.
local HEADS = "upstash%-kafka: serve: libmicrohttpd does not leave request heads[^\n]*\n"

local function without_start(text)
  return text and (text:gsub(HEADS, ""))
end

--- Quotes a text as one word for a shell.
function shell.quote(text)
  return "'" .. tostring(text):gsub("'", [['\'']]) .. "'"
end

local function exports(environment)
  local lines = {}
  for name, value in pairs(environment or {}) do
    lines[#lines + 1] = ("export %s=%s\n"):format(name, shell.quote(value))
  end
  return table.concat(lines)
end

--- Runs a command line. Returns its status, standard output and standard error. Options: `input`,
-- the standard input; `environment`, variables to set; `seconds`, a limit, one minute by default.
function shell.run(line, options)
  options = options or {}
  local place = folder.make()
  folder.write(place .. "/in", options.input or "")
  folder.write(place .. "/line", exports(options.environment) .. line)
  os.execute(("cd '%s'; timeout %d sh '%s/line' <'%s/in' >'%s/out' 2>'%s/err'; echo $? >'%s/status'"):format(
    shell.here, options.seconds or 60, place, place, place, place, place))
  local status = tonumber(folder.read(place .. "/status"))
  local out, err = without_start(folder.read(place .. "/out")), without_start(folder.read(place .. "/err"))
  folder.remove(place)
  return status, out, err
end

--- Quotes words so that a shell separates them again.
function shell.words(words)
  local quoted = {}
  for index, word in ipairs(words) do quoted[index] = shell.quote(word) end
  return table.concat(quoted, " ")
end

--- Whether programs ignore SIGHUP here, as under nohup.
function shell.ignores_hang_up()
  local ignored = (folder.read "/proc/self/status" or ""):match "SigIgn:%s*(%x+)"
  return ignored ~= nil and tonumber(ignored:sub(-1), 16) % 2 == 1
end

--- Runs upstash-kafka with words, which it quotes.
function shell.upstash_kafka(words, options)
  return shell.run(shell.command .. " " .. shell.words(words), options)
end

-- Every wait lasts at least this many seconds before it raises: a bound for hangs, not for
-- slowness.
local PATIENCE = 60

--- Calls `attempt` until it returns a true value, and returns that; raises after `seconds`, but not
-- before a minute.
function shell.eventually(seconds, attempt)
  local core = require "upstash.kafka.core"
  seconds = math.max(seconds, PATIENCE)
  local deadline = core.now() + seconds * 1000
  while true do
    local result = attempt()
    if result then return result end
    if core.now() > deadline then error(("not within %d s"):format(seconds), 2) end
    core.sleep(10)
  end
end

local Process = {}
Process.__index = Process

--- Starts a command line in the background.
function shell.start(line, options)
  local place = folder.make()
  folder.write(place .. "/line", exports(options and options.environment) .. "exec " .. line)
  folder.write(place .. "/run", ([[
    sh '%s/line' </dev/null >'%s/out' 2>'%s/err' &
    echo $! >'%s/pid'
    wait $!
    echo $? >'%s/status.new'
    mv '%s/status.new' '%s/status'
  ]]):gsub("%%s", place))
  os.execute(("cd '%s'; sh '%s/run' </dev/null >/dev/null 2>&1 &"):format(shell.here, place))
  local process = setmetatable({ place = place }, Process)
  process.pid = shell.eventually(10, function() return tonumber(folder.read(place .. "/pid") or "") end)
  return process
end

--- The output so far.
function Process:output()
  return folder.read(self.place .. "/out") or ""
end

function Process:errors()
  return without_start(folder.read(self.place .. "/err")) or ""
end

--- Waits until the output matches the pattern; returns the captures.
function Process:expect(pattern, seconds)
  return shell.eventually(seconds or 10, function()
    local captured = self:output():match(pattern)
    if not captured and self:ended() then error("it ended: " .. self:errors(), 0) end
    return captured
  end)
end

--- The exit status, or nil while it runs.
function Process:ended()
  return tonumber(folder.read(self.place .. "/status") or "")
end

--- Sends a signal, "TERM" by default.
function Process:signal(name)
  os.execute(("kill -%s %d 2>/dev/null"):format(name or "TERM", self.pid))
end

--- Waits for the end and returns the status.
function Process:wait(seconds)
  return shell.eventually(seconds or 10, function() return self:ended() end)
end

--- Ends it by any means and discards the output.
function Process:remove()
  if not self:ended() then
    self:signal "KILL"
    self:wait()
  end
  folder.remove(self.place)
end

-- Specs are run from the root of the checkout.
local pipe = io.popen "pwd"
shell.here = pipe:read "*l"
pipe:close()

return shell
