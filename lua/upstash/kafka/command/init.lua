--- The command line: `upstash-kafka COMMAND …`.
--
-- Exit status: 0 done, 1 failed, 2 misuse. An error is one line on standard error. The module of a
-- command is loaded when it runs, so `serve` loads only the server and the others only the client.

local command_line = require "upstash.kafka.command.line"

local command = {}

local MODULES = {
  serve = "upstash.kafka.command.serve",
  check = "upstash.kafka.command.check",
  credentials = "upstash.kafka.command.credentials",
  produce = "upstash.kafka.command.produce",
  consume = "upstash.kafka.command.messages",
  fetch = "upstash.kafka.command.messages",
  topics = "upstash.kafka.command.topics",
  groups = "upstash.kafka.command.topics",
  offsets = "upstash.kafka.command.topics",
}

local USAGE = [[
usage: upstash-kafka COMMAND …

  serve                  run the server: the REST API on a folder or a Kafka cluster
  credentials            add, remove, list and check users in the file of serve --credentials
  check DIR              look for damage in the data folder of a stopped server
  produce TOPIC [TEXT]   produce a message, or each line of standard input
  consume TOPIC…         print messages as an instance of a consumer group
  fetch TOPIC            print the messages of a partition, without a group
  topics                 list topics; topics create TOPIC, topics delete TOPIC
  groups                 list consumer groups, their instances and partitions
  offsets TOPIC          show the first offset and the end of each partition

See upstash-kafka COMMAND --help for its options. --version prints the version.
]]

local function version()
  for _, name in ipairs { "upstash.kafka.server", "upstash.kafka.core" } do
    local found, module = pcall(require, name)
    if found then return module._VERSION end
  end
  command_line.fail "neither upstash.kafka.server nor upstash.kafka.core can be loaded"
end

local function print_version()
  io.stdout:write("upstash-kafka ", version(), "\n")
end

local function print_usage()
  io.stdout:write(USAGE)
end

local PLAIN = {
  ["--version"] = print_version,
  ["--help"] = print_usage,
  ["-h"] = print_usage,
  help = print_usage,
}

-- Returns the command that the words name, and the index of the first word after its name.
local function find(words)
  local name = words[1]
  if not name then command_line.misuse "no command given; see upstash-kafka --help" end
  if not MODULES[name] then
    command_line.misuse("unknown command '%s'; see upstash-kafka --help", name)
  end
  local commands = require(MODULES[name])
  local longer = words[2] and commands[name .. " " .. words[2]]
  return longer or commands[name], longer and 3 or 2
end

local function run(words)
  if words[1] and PLAIN[words[1]] then return PLAIN[words[1]]() end
  local found, first = find(words)
  local given = command_line.read(found, words, first)
  if given.help then
    io.stdout:write(command_line.help(found, found.defaults and found.defaults()))
  else
    found.run(given)
  end
end

-- The last output of a command may be in a buffer: writing that must not fail unnoticed.
local function run_and_flush(words)
  run(words)
  local fine, message = io.stdout:flush()
  if not fine then command_line.fail("standard output: %s", message) end
end

--- Runs a command line.
---@param words string[] without the program's name
---@return integer status for os.exit
function command.main(words)
  local fine, err = pcall(run_and_flush, words)
  if fine then return 0 end
  local status, text = command_line.outcome(err)
  if text then io.stderr:write("upstash-kafka: ", text, "\n") end
  return status
end

return command
