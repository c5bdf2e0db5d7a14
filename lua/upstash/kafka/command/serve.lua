--- `upstash-kafka serve`: the server, until SIGTERM or SIGINT.

local command_line = require "upstash.kafka.command.line"

local USERNAME_VARIABLE = "UPSTASH_KAFKA_SERVER_USERNAME"
local PASSWORD_VARIABLE = "UPSTASH_KAFKA_SERVER_PASSWORD"
local BROKERS_VARIABLE = "UPSTASH_KAFKA_SERVER_BROKERS"

local function size(name, about)
  return { name = name, value = "BYTES", kind = "integer", min = 1, about = about }
end

local OPTIONS = {
  { name = "listen", value = "HOST:PORT", kind = "name", about = "where to listen; port 0 picks a free one" },
  { name = "data", value = "DIR", kind = "name",
    about = "the folder of the messages, with --brokers of the password alone; in $XDG_DATA_HOME or ~/.local/share" },
  { name = "username", value = "NAME", kind = "name", about = "the credential; also $" .. USERNAME_VARIABLE },
  { name = "password", value = "TEXT", kind = "name",
    about = "its password; better $" .. PASSWORD_VARIABLE .. ", which no process list shows" },
  { name = "brokers", value = "HOST:PORT,…", kind = "name",
    about = "a Kafka cluster that keeps the messages instead; also $" .. BROKERS_VARIABLE },
  { name = "set", value = "PROPERTY=VALUE", kind = "pair", many = true, secret = true,
    about = "of librdkafka; may be repeated. Process lists show it: a secret better by --set-file" },
  { name = "set-file", value = "PROPERTY=FILE", kind = "pair", many = true, secret = true, filled = true,
    about = "the same, with the value in a file; may be repeated" },
  size("prefetch-bytes", "of messages read ahead from the cluster for each consumer instance"),
  size("prefetch-budget", "of messages read ahead for all instances; one more than fit in is refused with 429"),
  { name = "partitions", value = "N", kind = "integer", min = 1, about = "of a topic created without a number" },
  { name = "no-auto-create-topics", kind = "flag",
    about = "a produce or consume of a topic that does not exist fails" },
  { name = "threads", value = "N", kind = "integer", min = 0,
    about = "that serve HTTP; 0 = one for each processor, at most 8" },
  { name = "max-connections", value = "N", kind = "integer", min = 1, about = "open at once" },
  size("max-header-bytes", "the largest request line and headers together; each connection keeps 4096 more"),
  size("max-body-bytes", "the largest request body, also after decompression"),
  size("max-message-bytes", "the largest message: key, value and headers"),
  size("map-bytes", "the most that the messages may take on disk; not with --brokers"),
  { name = "no-sync", kind = "flag",
    about = "answer before messages are on disk: a power cut may lose some or damage the log; not with --brokers" },
  { name = "cors-origin", value = "ORIGIN", kind = "name", many = true,
    about = "whose pages a browser lets call the server: https://app.example.com; may be repeated; none = nobody's" },
  { name = "tls-cert", value = "FILE", kind = "name", about = "PEM: serve https; needs --tls-key" },
  { name = "tls-key", value = "FILE", kind = "name", about = "PEM" },
}

local PASSED_ON = { "listen", "data", "prefetch_bytes", "prefetch_budget", "partitions", "threads", "max_connections",
  "max_header_bytes", "max_body_bytes", "max_message_bytes", "map_bytes", "cors_origin", "tls_cert", "tls_key" }

local function environment(variable)
  local value = os.getenv(variable)
  return value ~= "" and value or nil
end

-- What goes with brokers alone, and what with the log alone.
local OF_BROKERS = { "set", "set-file", "prefetch-bytes", "prefetch-budget" }
local OF_LOG = { "map-bytes", "no-sync" }

local function first_given(given, names)
  for _, name in ipairs(names) do
    if given[(name:gsub("-", "_"))] then return name end
  end
end

local function check_engine(given)
  local brokers = given.brokers and "--brokers" or environment(BROKERS_VARIABLE) and "$" .. BROKERS_VARIABLE
  local stranger = first_given(given, brokers and OF_LOG or OF_BROKERS)
  if not stranger then return end
  if brokers then command_line.misuse("serve: --%s is for the embedded log, not with %s", stranger, brokers) end
  command_line.misuse("serve: --%s needs --brokers", stranger)
end

-- The pairs of an option as a map, or nil for none.
local function map_of(pairs_given, name)
  if not pairs_given then return nil end
  local map = {}
  for _, pair in ipairs(pairs_given) do
    if map[pair.key] then command_line.misuse("serve: --%s %s is given twice", name, pair.key) end
    map[pair.key] = pair.value
  end
  return map
end

local function check_apart(properties, files)
  for name in pairs(properties or {}) do
    if files and files[name] then command_line.misuse("serve: %s is given by --set and by --set-file", name) end
  end
end

local function options_of(given)
  local options = {
    username = given.username or environment(USERNAME_VARIABLE),
    password = given.password or environment(PASSWORD_VARIABLE),
    brokers = given.brokers or environment(BROKERS_VARIABLE),
    properties = map_of(given.set, "set"),
    property_files = map_of(given.set_file, "set-file"),
  }
  check_apart(options.properties, options.property_files)
  for _, field in ipairs(PASSED_ON) do options[field] = given[field] end
  if given.no_auto_create_topics then options.auto_create_topics = false end
  if given.no_sync then options.no_sync = true end
  return options
end

-- One word for a shell, whatever stands in it.
local function quoted(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

-- A password from the environment is not written anywhere: the line refers to where it came from.
local function password_word(launched, given)
  if given.password or not environment(PASSWORD_VARIABLE) then return quoted(launched.password) end
  return ('"$%s"'):format(PASSWORD_VARIABLE)
end

local function announce(launched, given)
  local lines = {
    "listening on " .. launched.url,
    "export UPSTASH_KAFKA_REST_URL=" .. quoted(launched.url),
    "export UPSTASH_KAFKA_REST_USERNAME=" .. quoted(launched.username),
    "export UPSTASH_KAFKA_REST_PASSWORD=" .. password_word(launched, given),
  }
  io.stdout:write(table.concat(lines, "\n"), "\n")
  io.stdout:flush()
end

-- Where standard output is closed, the next file that is opened gets its number: what is printed would go into
-- the log. Closed by the caller, after the server.
local function fill_standard_files()
  local files = {}
  for number = 1, 3 do files[number] = io.open("/dev/null", "r+") end
  return files
end

local OTHER_FILES = 128 -- what is open besides connections, and the connections that are told of the limit

-- What the system allows less than was asked for by name is said; connections beyond it wait to be accepted.
local function allow_connections(server, asked)
  local wanted = (asked or server.defaults.max_connections) + OTHER_FILES
  local allowed = server.allow_files(wanted)
  if asked and allowed < wanted then
    io.stderr:write(("upstash-kafka: serve: --max-connections %d: the system lets it open %d files (ulimit -Hn)\n")
      :format(asked, allowed))
  end
end

local function serve(given)
  local found, server = pcall(require, "upstash.kafka.server")
  if not found then
    command_line.fail("serve needs the server (luarocks install upstash-kafka-server): %s", server)
  end
  if (given.tls_cert == nil) ~= (given.tls_key == nil) then
    command_line.misuse "serve: --tls-cert and --tls-key go together"
  end
  check_engine(given)
  local options = options_of(given)
  local standard_files = fill_standard_files()
  server.block_signals()
  local launcher = require "upstash.kafka.launcher"
  local launched, message = launcher.start(options)
  if not launched then command_line.fail("serve: %s", message) end
  allow_connections(server, given.max_connections)
  announce(launched, given)
  server.wait_for_signal()
  launched.handle:stop()
  for _, file in ipairs(standard_files) do file:close() end
end

return {
  serve = {
    name = "serve",
    words = "[OPTION]…",
    least = 0, most = 0,
    about = [[
Serves the REST API until SIGTERM or SIGINT, then answers what is in hand and ends. The first line that it prints
says where it listens; three exports for the clients follow. Without a password it makes one, keeps it in the
data folder, readable by its owner alone, and uses it again. A password from the environment is not printed.]],
    options = OPTIONS,
    defaults = function()
      local found, server = pcall(require, "upstash.kafka.server")
      if not found then return nil end
      local defaults = {}
      for name, value in pairs(server.defaults) do defaults[name] = value end
      defaults.data = require("upstash.kafka.launcher").default_data()
      return defaults
    end,
    run = serve,
  },
}
