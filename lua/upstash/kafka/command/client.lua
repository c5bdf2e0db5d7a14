--- What the client commands share: connection options, the client, checked results, tables.

local command_line = require "upstash.kafka.command.line"

local command_client = {}

local CONNECTION = {
  { name = "url", value = "URL", kind = "name", about = "the server; default $UPSTASH_KAFKA_REST_URL" },
  { name = "username", value = "NAME", kind = "name", about = "default $UPSTASH_KAFKA_REST_USERNAME" },
  { name = "password", value = "TEXT", kind = "name", about = "default $UPSTASH_KAFKA_REST_PASSWORD" },
  { name = "ca-file", value = "FILE", kind = "name",
    about = "trust the certificates in this PEM file instead of the system's" },
}

--- Returns the options of a command, followed by those that every client command has.
function command_client.options(own)
  local all = {}
  for _, option in ipairs(own) do all[#all + 1] = option end
  for _, option in ipairs(CONNECTION) do all[#all + 1] = option end
  return all
end

-- The options of kafka.new that may come from elsewhere, and from where.
local VARIABLES = {
  url = "UPSTASH_KAFKA_REST_URL",
  username = "UPSTASH_KAFKA_REST_USERNAME",
  password = "UPSTASH_KAFKA_REST_PASSWORD",
}

-- The environment's credentials go only with its URL.
local function from_environment(given, name)
  local value = not given.url and VARIABLES[name] and os.getenv(VARIABLES[name])
  return value ~= "" and value or nil
end

-- A URL without its scheme is the most likely mistake.
local function suggestion(name, value)
  if name ~= "url" or not value or value:find "://" then return "" end
  return ("; did you mean http://%s?"):format(value)
end

-- Ends the command with what is wrong with the option, or with its variable.
local function refuse(given, reason)
  local name, problem = reason:match "^([%a_]+): (.*)$"
  if not name then command_line.misuse("%s", reason) end
  local variable = given[name] == nil and from_environment(given, name)
  local source = variable and "$" .. VARIABLES[name] or "--" .. name:gsub("_", "-")
  command_line.misuse("%s: %s%s", source, problem, suggestion(name, given[name] or variable))
end

--- Creates the client that the options and the environment describe.
function command_client.client(given)
  if not given.url and not from_environment(given, "url") then
    command_line.misuse "no server given: use --url or set UPSTASH_KAFKA_REST_URL"
  end
  local found, kafka = pcall(require, "upstash.kafka")
  if not found then
    command_line.fail("this command requires the client (luarocks install upstash-kafka): %s", kafka)
  end
  local fine, client = pcall(kafka.new, {
    url = given.url, username = given.username, password = given.password, ca_file = given.ca_file,
    binary = given.binary, idempotent = given.idempotent,
  })
  if not fine then refuse(given, command_line.reason(client)) end
  return client
end

--- Returns the result of a call, or ends the command if the call failed.
function command_client.need(result, message)
  if result == nil then command_line.fail("%s", message) end
  return result
end

--- Writes to standard output. Ends the command if that fails.
function command_client.write(...)
  local fine, message = io.stdout:write(...)
  if not fine then command_line.fail("standard output: %s", message) end
end

--- Prints rows of strings in aligned columns.
function command_client.print_table(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for column, text in ipairs(row) do widths[column] = math.max(widths[column] or 0, #text) end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for column, text in ipairs(row) do
      cells[column] = column < #row and text .. (" "):rep(widths[column] - #text) or text
    end
    command_client.write(table.concat(cells, "  "), "\n")
  end
end

return command_client
