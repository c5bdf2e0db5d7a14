--- `upstash-kafka serve`: the server, until SIGTERM or SIGINT.

local command_line = require "upstash.kafka.command.line"

local USERNAME_VARIABLE = "UPSTASH_KAFKA_SERVER_USERNAME"
local PASSWORD_VARIABLE = "UPSTASH_KAFKA_SERVER_PASSWORD"
local BROKERS_VARIABLE = "UPSTASH_KAFKA_SERVER_BROKERS"

local function size(name, about)
  return { name = name, value = "BYTES", kind = "integer", min = 1, about = about }
end

local function seconds(name, about)
  return { name = name, value = "SECONDS", kind = "integer", min = 1, about = about }
end

local OPTIONS = {
  { name = "listen", value = "ADDRESS", kind = "name",
    about = "HOST:PORT, [IPv6]:PORT, :PORT (all addresses) or unix:PATH; port 0 picks a free port" },
  { name = "data", value = "DIR", kind = "name",
    about = "the folder for messages; with --brokers, for the password only" },
  { name = "username", value = "NAME", kind = "name",
    about = "the user name for clients; also $" .. USERNAME_VARIABLE },
  { name = "password", value = "TEXT", kind = "name",
    about = "its password; process lists show it, so prefer $" .. PASSWORD_VARIABLE },
  { name = "credentials", value = "FILE", kind = "name",
    about = "a file of more credentials, read again when it changes and on SIGHUP" },
  { name = "brokers", value = "HOST:PORT,…", kind = "name",
    about = "store messages in this Kafka cluster; also $" .. BROKERS_VARIABLE },
  { name = "set", value = "PROPERTY=VALUE", kind = "pair", many = true, secret = true,
    about = "a librdkafka property; may be repeated; for secrets use --set-file" },
  { name = "set-file", value = "PROPERTY=FILE", kind = "pair", many = true, secret = true, filled = true,
    about = "the same, with the value read from a file; may be repeated" },
  size("prefetch-bytes", "of messages to read ahead from the cluster for each consumer instance"),
  size("prefetch-budget", "of messages to read ahead for all instances; more instances are refused with 429"),
  { name = "partitions", value = "N", kind = "integer", min = 1,
    about = "of a topic that is created without a number" },
  { name = "no-auto-create-topics", kind = "flag",
    about = "let a produce or consume fail if the topic does not exist" },
  { name = "idempotency-window", value = "SECONDS", kind = "integer", min = 0,
    about = "how long a repeated produce with an Idempotency-Key is recognized; 0: not at all" },
  { name = "threads", value = "N", kind = "integer", min = 0,
    about = "threads that serve HTTP; 0: one for each processor, at most 8" },
  { name = "max-connections", value = "N", kind = "integer", min = 1, about = "connections open at once" },
  { name = "max-connections-per-address", value = "N", kind = "integer", min = 1,
    about = "connections open at once from one address; not for this machine's and those of --behind-proxy" },
  seconds("tls-timeout", "for a TLS handshake"),
  seconds("head-timeout", "for the request line and the headers"),
  seconds("idle-timeout", "that a connection stays open without a request"),
  size("min-rate", "a second at which a request body must arrive and a response must be read"),
  seconds("rate-period", "in which --min-rate is measured"),
  size("max-header-bytes", "the largest request line and headers; each connection reserves 4096 more"),
  size("max-body-bytes", "the largest request body, before and after decompression"),
  size("max-message-bytes", "the largest message: key, value and headers"),
  { name = "max-request-memory", value = "BYTES", kind = "integer", min = 0,
    about = "memory for all requests in hand; 0: a quarter of the machine's, or of its container's" },
  size("map-bytes", "the largest size of the messages on disk; not with --brokers"),
  { name = "no-sync", kind = "flag",
    about = "respond before messages are on disk: a power cut may damage the log; not with --brokers" },
  { name = "cors-origin", value = "ORIGIN", kind = "name", many = true,
    about = "allow pages of this origin, such as https://app.example.com; may be repeated; none: no page" },
  { name = "behind-proxy", value = "ADDRESS", kind = "name", many = true,
    about = "the address of a proxy in front, whose X-Forwarded-For names the client; may be repeated" },
  { name = "insecure", kind = "flag",
    about = "serve plain HTTP on an address that others can reach, also without --behind-proxy" },
  { name = "tls-cert", value = "FILE", kind = "name",
    about = "serve HTTPS with this certificate (PEM); requires --tls-key" },
  { name = "tls-key", value = "FILE", kind = "name", about = "the key of the certificate (PEM)" },
  { name = "tls-priorities", value = "TEXT", kind = "name",
    about = "versions and ciphers, in GnuTLS's words; default: TLS 1.2 and 1.3, AEAD with ECDHE" },
}

local PASSED_ON = { "listen", "data", "credentials", "prefetch_bytes", "prefetch_budget", "partitions",
  "idempotency_window", "threads", "max_connections", "max_connections_per_address", "tls_timeout", "head_timeout",
  "idle_timeout", "min_rate", "rate_period", "max_header_bytes", "max_body_bytes", "max_message_bytes",
  "max_request_memory", "map_bytes", "cors_origin", "behind_proxy", "tls_cert", "tls_key", "tls_priorities" }

local function environment(variable)
  local value = os.getenv(variable)
  return value ~= "" and value or nil
end

-- Options for a cluster only, and options for the log only.
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
  command_line.misuse("serve: --%s requires --brokers", stranger)
end

-- Returns the pairs of an option as a map, or nil if there are none.
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
    if files and files[name] then command_line.misuse("serve: %s is given both by --set and by --set-file", name) end
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
  if given.insecure then options.insecure = true end
  return options
end

-- Quotes a text as one word for a shell.
local function quoted(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

-- Never prints a password from the environment: the line refers to the variable instead. A
-- generated one is printed only to a terminal, because what else reads the output may keep it.
local function password_word(launched, given, on_terminal)
  if not given.password and environment(PASSWORD_VARIABLE) then return ('"$%s"'):format(PASSWORD_VARIABLE) end
  if not launched.password_file or on_terminal then return quoted(launched.password) end
  return ('"$(cat %s)"'):format(quoted(launched.password_file))
end

local function announce(launched, given, on_terminal)
  local lines = {
    "listening on " .. launched.url,
    "export UPSTASH_KAFKA_REST_URL=" .. quoted(launched.url),
  }
  if launched.username then
    lines[#lines + 1] = "export UPSTASH_KAFKA_REST_USERNAME=" .. quoted(launched.username)
    lines[#lines + 1] = "export UPSTASH_KAFKA_REST_PASSWORD=" .. password_word(launched, given, on_terminal)
  end
  io.stdout:write(table.concat(lines, "\n"), "\n")
  io.stdout:flush()
end

-- If standard output is closed, the next file that is opened gets its number, and what the command
-- prints would end up in the log. The caller closes these files after it has stopped the server.
local function fill_standard_files()
  local files = {}
  for number = 1, 3 do files[number] = io.open("/dev/null", "r+") end
  return files
end

-- Milliseconds in which a server stops: a produce may take 30 seconds to be answered, and clients
-- get five to read their responses. More means that the disk or the cluster does not answer.
local STOP_PATIENCE = 45000

local STANDARD_OUTPUT = 1 -- its descriptor

local OTHER_FILES = 128 -- open besides connections, and for connections over the limit

-- Warns if the system allows fewer connections than --max-connections; the others wait to be
-- accepted.
local function allow_connections(server, asked)
  local wanted = (asked or server.defaults.max_connections) + OTHER_FILES
  local allowed = server.allow_files(wanted)
  if asked and allowed < wanted then
    io.stderr:write(("upstash-kafka: serve: --max-connections %d: the system allows only %d files (ulimit -Hn)\n")
      :format(asked, allowed))
  end
end

local function tell_of_heads(server)
  if server.checks_heads == false then
    io.stderr:write("upstash-kafka: serve: libmicrohttpd does not leave request heads where they were received: ",
      "its strict mode checks their lines\n")
  end
end

local function serve(given)
  local server = command_line.server "serve"
  if (given.tls_cert == nil) ~= (given.tls_key == nil) then
    command_line.misuse "serve: --tls-cert and --tls-key require each other"
  end
  check_engine(given)
  local options = options_of(given)
  local standard_files = fill_standard_files()
  server.block_signals()
  server.keep_memory()
  local launcher = require "upstash.kafka.launcher"
  local launched, message = launcher.start(options)
  if not launched then command_line.fail("serve: %s", message) end
  allow_connections(server, given.max_connections)
  tell_of_heads(server)
  announce(launched, given, server.is_terminal(STANDARD_OUTPUT))
  server.wait_for_signal(launched.handle)
  server.force_exit(STOP_PATIENCE)
  local stopped, problem = launched.handle:stop()
  for _, file in ipairs(standard_files) do file:close() end
  if not stopped then command_line.fail("serve: %s", problem) end
end

return {
  serve = {
    name = "serve",
    words = "[OPTION]…",
    least = 0, most = 0,
    about = [[
Serves the REST API until SIGTERM or SIGINT, then completes the pending requests and ends. Prints the address that it
listens on, then three exports for clients. Without a password it generates one and stores it in the data folder,
readable by the owner alone, for later runs. A password from the environment is never printed.]],
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
