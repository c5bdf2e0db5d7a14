--- `upstash-kafka credentials`: edits and checks the file of `serve --credentials`.

local command_line = require "upstash.kafka.command.line"
local json = require "upstash.kafka.json"

local function quoted(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

-- Returns the text of the file, or nil if there is none.
local function read(path)
  local file, message, code = io.open(path, "rb")
  if not file then
    local ENOENT = 2
    if code == ENOENT then return nil end
    command_line.fail("credentials: %s", message)
  end
  local text, problem = file:read "*a"
  file:close()
  if not text then command_line.fail("credentials: %s: %s", path, problem) end
  return text
end

local function need(path)
  local text = read(path)
  if not text then command_line.fail("credentials: %s: No such file or directory", path) end
  return text
end

local function check_text(server, path, text)
  local count, message = server.check_credentials(text)
  if not count then command_line.fail("credentials: %s: %s", path, message) end
  return count
end

-- Returns the rows of a file that has been checked, each with its line.
local function rows_of(text)
  local rows = {}
  for line in text:gmatch "[^\n]+" do
    if line:find "%S" then
      local row = assert(json.decode(line))
      row.line = line
      rows[#rows + 1] = row
    end
  end
  return rows
end

local function read_rows(server, path)
  local text = need(path)
  check_text(server, path, text)
  return rows_of(text)
end

-- Puts another file in the place of the old one, with its owner and mode, so that a server never
-- reads half of it.
local function replace(server, path, text)
  check_text(server, path, text)
  local draft = ("%s.%s"):format(path, server.make_password())
  local written, message = server.write_secret(draft, text)
  if not written then command_line.fail("credentials: %s", message) end
  local old = io.open(path, "rb")
  if old then
    old:close()
    os.execute(("chmod --reference=%s %s && chown --reference=%s %s"):format(quoted(path), quoted(draft),
      quoted(path), quoted(draft)))
  end
  local renamed, problem = os.rename(draft, path)
  if not renamed then
    os.remove(draft)
    command_line.fail("credentials: %s", problem)
  end
end

local function text_of(rows)
  local lines = {}
  for index, row in ipairs(rows) do lines[index] = row.line .. "\n" end
  return table.concat(lines)
end

local function find(rows, user)
  for index, row in ipairs(rows) do
    if row.user == user then return index end
  end
end

local function list_text(values)
  local parts = {}
  for index, value in ipairs(values) do parts[index] = json.encode(value) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function write_line(row)
  row.line = ('{"user":%s,"secrets":%s,"permission":%s,"topics":%s%s}'):format(json.encode(row.user),
    list_text(row.secrets), json.encode(row.permission), list_text(row.topics),
    row.groups and ',"groups":' .. list_text(row.groups) or "")
end

-- The first line of a file, of standard input for "-".
local function given_password(name)
  local file, message = io.stdin, nil
  if name ~= "-" then file, message = io.open(name, "rb") end
  if not file then command_line.fail("credentials add: %s", message) end
  local line = file:read "*l"
  if name ~= "-" then file:close() end
  if not line or line == "" then command_line.fail("credentials add: %s holds no password", name) end
  return line
end

-- Returns the hash of the password that is given, or of a new one, and the new one.
local function make_secret(server, given)
  local made = not given.password_file and server.make_password() or nil
  local hash, message = server.hash_password(made or given_password(given.password_file), made ~= nil)
  if not hash then command_line.fail("credentials add: %s", message) end
  return hash, made
end

local SECRETS = 2

local function add_secret(row, given, hash)
  if given.permission or given.topic or given.group then
    command_line.fail("credentials add: user %s exists: it gets a second password, and nothing else changes", row.user)
  end
  if #row.secrets >= SECRETS then
    command_line.fail("credentials add: user %s has two passwords: remove the older one first "
      .. "(credentials remove --oldest)", row.user)
  end
  row.secrets[#row.secrets + 1] = hash
end

local function new_row(user, given, hash)
  if not given.permission or not given.topic then
    command_line.misuse "credentials add: a new user needs --permission and --topic"
  end
  return { user = user, secrets = { hash }, permission = given.permission, topics = given.topic, groups = given.group }
end

local function add(given)
  local server = command_line.server "credentials"
  local path, user = given[1], given[2]
  local rows = read(path) and read_rows(server, path) or {}
  local hash, made = make_secret(server, given)
  local index = find(rows, user)
  if index then
    add_secret(rows[index], given, hash)
  else
    index = #rows + 1
    rows[index] = new_row(user, given, hash)
  end
  write_line(rows[index])
  replace(server, path, text_of(rows))
  if made then io.stdout:write(made, "\n") end
end

local function remove(given)
  local server = command_line.server "credentials"
  local path, user = given[1], given[2]
  local rows = read_rows(server, path)
  local index = find(rows, user)
  if not index then command_line.fail("credentials remove: %s has no user %s", path, user) end
  if not given.oldest then
    table.remove(rows, index)
  elseif #rows[index].secrets < SECRETS then
    command_line.fail("credentials remove: user %s has one password: without --oldest it is removed with its user",
      user)
  else
    table.remove(rows[index].secrets, 1)
    write_line(rows[index])
  end
  replace(server, path, text_of(rows))
end

local function list(given)
  local rows = read_rows(command_line.server "credentials", given[1])
  for _, row in ipairs(rows) do
    io.stdout:write(("user=%s permission=%s passwords=%d topics=%s%s\n"):format(row.user, row.permission, #row.secrets,
      table.concat(row.topics, ","), row.groups and " groups=" .. table.concat(row.groups, ",") or ""))
  end
end

local function check(given)
  local count = check_text(command_line.server "credentials", given[1], need(given[1]))
  io.stdout:write(("%d credentials\n"):format(count))
end

local CHECK = {
  name = "credentials check", words = "FILE", least = 1, most = 1, run = check, options = {},
  about = "Checks whether a server can use the file. Exit status: 0 yes, 1 no; the error names the line and the field.",
}

return {
  credentials = CHECK,
  ["credentials check"] = CHECK,
  ["credentials list"] = {
    name = "credentials list", words = "FILE", least = 1, most = 1, run = list, options = {},
    about = "Lists the users of the file, with permission, number of passwords, topics and groups.",
  },
  ["credentials add"] = {
    name = "credentials add", words = "FILE USER [OPTION]…", least = 2, most = 2, run = add,
    about = [[
Adds a user to the file, which is created if it does not exist, or a second password to a user who has one. Without
--password-file it makes a password and prints it, once: the file keeps only a hash.]],
    options = {
      { name = "permission", value = "NAME", kind = "choice", choices = { "full", "produce", "consume", "monitor" },
        about = "what a new user may do: full, produce, consume or monitor" },
      { name = "topic", value = "PATTERN", kind = "name", many = true,
        about = "a topic of a new user, a prefix and '*', or '*'; may be repeated" },
      { name = "group", value = "PATTERN", kind = "name", many = true,
        about = "the same for consumer groups; without it, every group" },
      { name = "password-file", value = "FILE", kind = "name",
        about = "take the password from the first line of this file; - is standard input" },
    },
  },
  ["credentials remove"] = {
    name = "credentials remove", words = "FILE USER [--oldest]", least = 2, most = 2, run = remove,
    about = "Removes a user from the file, or one of two passwords.",
    options = {
      { name = "oldest", kind = "flag", about = "remove the older of two passwords, and keep the user" },
    },
  },
}
