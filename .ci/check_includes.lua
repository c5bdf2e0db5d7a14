-- check_includes: each folder of csrc/ includes only what it may know, and each library enters through one door.
--
--   lua5.4 .ci/check_includes.lua [CSRC]
--
-- Prints file:line of every include that points up or sideways. Status 1 when there is one.

local csrc = ... or "csrc"

-- A room is a folder; what it may include besides itself.
local may_include = {
  common = {},
  client = { "common" },
  ["server/engine"] = { "common" },
  ["server/groups"] = { "common", "server/engine" },
  ["server/log_engine"] = { "common", "server/engine", "server/groups" },
  ["server/kafka_engine"] = { "common", "server/engine" },
  ["server/api"] = { "common", "server/engine" },
  ["server/http"] = { "common", "server/api" },
  server = { "common", "server/api", "server/http", "server/kafka_engine", "server/log_engine" },
  binding = { "common", "client", "server" },
}

-- A header of a library, as a pattern, and the files that may include it.
local doors = {
  { header = "^curl/", files = { "^client/transport[%w_]*%.[ch]$" } },
  { header = "^microhttpd%.h$", files = { "^server/http/http[%w_]*%.[ch]$" } },
  { header = "^lmdb%.h$", files = { "^server/log_engine/log_[%w_]+%.[ch]$" } },
  { header = "^zlib%.h$", files = { "^common/gzip%.c$" } },
  { header = "^librdkafka/rdkafka%.h$", files = { "^server/kafka_engine/kafka_rd%.h$" } },
  { header = "^lua%.h$", files = { "^binding/" } },
  { header = "^lauxlib%.h$", files = { "^binding/" } },
  { header = "^lualib%.h$", files = { "^binding/" } },
}

-- Headers of libc, of the kernel, and of the compiler.
local libc = { "^arpa/", "^linux/", "^net/", "^netinet/", "^sys/", "^%a+intrin%.h$", "^arm_neon%.h$" }
for name in ([[
  assert ctype dirent dlfcn endian errno fcntl float inttypes limits locale math netdb poll pthread sched signal stdalign
  stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings time unistd
]]):gmatch "%a+" do libc[#libc + 1] = "^" .. name .. "%.h$" end

local faults = 0
local function fault(file, line, ...)
  faults = faults + 1
  print(string.format("%s:%d: %s", file, line, string.format(...)))
end

local function matches(text, patterns)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function may(room, target)
  for _, known in ipairs(may_include[room]) do
    if known == target then return true end
  end
  return room == target
end

local function check_project(file, line, room, header)
  local target = header:match "^(.+)/"
  if not target or not may_include[target] then
    fault(file, line, 'include "%s" is not relative to csrc', header)
  elseif not may(room, target) then
    fault(file, line, 'csrc/%s may not include "%s"', room, header)
  elseif not exists(csrc .. "/" .. header) then
    fault(file, line, 'there is no "%s"', header)
  end
end

local function check_system(file, line, name, header)
  if matches(header, libc) then return end
  for _, door in ipairs(doors) do
    if header:find(door.header) then
      if not matches(name, door.files) then
        fault(file, line, "<%s> enters through another door: %s", header, table.concat(door.files, " "))
      end
      return
    end
  end
  fault(file, line, "<%s> is neither libc nor a library of this project", header)
end

local function check_file(file)
  local name = file:sub(#csrc + 2)
  local room = name:match "^(.+)/"
  local line = 0
  if not may_include[room] then return fault(file, 1, "csrc/%s is no folder of the design", tostring(room)) end
  for text in io.lines(file) do
    line = line + 1
    local quote, header = text:match '^%s*#%s*include%s*(["<])([^">]+)[">]'
    if quote == '"' then
      check_project(file, line, room, header)
    elseif quote then
      check_system(file, line, name, header)
    elseif text:find "^%s*#%s*include" then
      fault(file, line, "an include that names no file")
    end
  end
end

local checked = 0
for file in io.popen("find " .. csrc .. " -name '*.[ch]' | sort"):lines() do
  check_file(file)
  checked = checked + 1
end
if checked == 0 then fault(csrc, 0, "no C files") end
os.exit(faults == 0)
