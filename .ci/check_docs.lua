-- check_docs: everything that people can call is documented.
--
--   lua5.4 .ci/check_docs.lua [ROOT]      with the built modules on LUA_PATH and LUA_CPATH
--
-- Checks that
--   each row of UK_ENDPOINTS is in docs/rest-api.md, its methods and path on one line (with {name}
--   or $NAME);
--   docs/errors.md is what errors_page.lua makes of the error list;
--   each function that the modules register is in a page of docs/, as module.name or :name;
--   each link of a page leads to a file and, in a page, to a heading;
--   the table of rooms in CONTRIBUTING.md agrees with .ci/map/rules.lua.
-- Prints the faults; status 1 if there are any.

local root = ... or "."
local faults = 0

local function fault(...)
  faults = faults + 1
  print(string.format(...))
end

local function read(path)
  local file = io.open(root .. "/" .. path)
  if not file then
    fault("%s: there is no such file", path)
    return ""
  end
  local text = file:read "a"
  file:close()
  return text
end

-- The rows of an X-macro: a list of argument texts.
local function rows_of(text, macro)
  local rows = {}
  local body = text:match("#define " .. macro .. "%(X%)(.-[^\\])\n") or ""
  for row in body:gsub("\\\n", "\n"):gmatch "%sX(%b())" do rows[#rows + 1] = row end
  if #rows == 0 then fault("no rows of %s found", macro) end
  return rows
end

local function normal_path(path)
  return (path:gsub("{[%w_]+}", "$"):gsub("%$[%u_]+", "$"))
end

-- {normal path = {the lines that hold it}}
local function paths_of(text)
  local found = {}
  for line in text:gmatch "[^\n]+" do
    for path in line:gmatch "/[%w%-{}$_/]*" do
      local key = normal_path(path)
      found[key] = found[key] or {}
      table.insert(found[key], line)
    end
  end
  return found
end

local function documents(lines, methods)
  for _, line in ipairs(lines) do
    local all = true
    for _, method in ipairs(methods) do all = all and line:find(method, 1, true) end
    if all then return true end
  end
  return false
end

local function check_routes()
  local documented = paths_of(read "docs/rest-api.md")
  for _, row in ipairs(rows_of(read "csrc/common/protocol.h", "UK_ENDPOINTS")) do
    local methods = {}
    for method in row:gmatch "UK_(%u+)" do
      if method == "GET" or method == "POST" or method == "DELETE" then methods[#methods + 1] = method end
    end
    local path = row:match '"(/[^"]*)"'
    if not documents(documented[normal_path(path)] or {}, methods) then
      fault("docs/rest-api.md: no line with %s %s", table.concat(methods, "|"), path)
    end
  end
end

local function check_errors()
  local page = read "docs/errors.md"
  for _, row in ipairs(rows_of(read "csrc/common/error.h", "UK_ERRORS")) do
    local word = row:match '"([%w_]+)"'
    if not page:find("`" .. word .. "`", 1, true) then fault("docs/errors.md: no `%s`", word) end
  end
  local pipe = assert(io.popen("cd '" .. root .. "' && lua5.4 .ci/errors_page.lua"))
  if pipe:read "a" ~= page then fault "docs/errors.md: not what the error list says: make docs/errors.md" end
  pipe:close()
end

local function all_docs()
  local texts = {}
  for path in io.popen("cd '" .. root .. "' && ls docs/*.md"):lines() do texts[#texts + 1] = read(path) end
  return table.concat(texts, "\n")
end

local docs = all_docs()

local function check_functions(what, functions, prefixes)
  local count = 0
  for name, value in pairs(functions) do
    if type(name) == "string" and type(value) == "function" and name:sub(1, 2) ~= "__" then
      count = count + 1
      local found = false
      for _, prefix in ipairs(prefixes) do found = found or docs:find(prefix .. name .. "%f[^%w_]") end
      if not found then fault("docs/*.md: nothing about %s of %s", name, what) end
    end
  end
  return count
end

-- Methods are found after any object's name, functions of a module after the module's.
local function check_modules()
  local kafka = require "upstash.kafka"
  local core = require "upstash.kafka.core"
  local server = require "upstash.kafka.server"
  local count = check_functions("upstash.kafka", kafka, { "kafka%.", "client:" })
    + check_functions("upstash.kafka.core", core, { "core%." })
    + check_functions("upstash.kafka.server", server, { "server%." })
  for name, metatable in pairs(debug.getregistry()) do
    if type(name) == "string" and name:find "upstash" and type(metatable) == "table" then
      local methods = rawget(metatable, "__index")
      if type(methods) == "table" then count = count + check_functions(name, methods, { ":" }) end
    end
  end
  if count < 20 then fault("only %d functions found in the modules", count) end
end

local pages = {} -- {path = {the anchors of its headings}}, filled on demand

-- The anchors as GitHub makes them: lower case, without punctuation, numbered where a heading
-- repeats.
local function anchors_of(path)
  if pages[path] then return pages[path] end
  local anchors, count, text = {}, {}, "\n" .. read(path):gsub("\n```.-\n```", "")
  for heading in text:gmatch "\n#+ ([^\n]+)" do
    local name = heading:lower():gsub("[^%w _%-]", ""):gsub(" ", "-")
    count[name] = (count[name] or -1) + 1
    anchors[count[name] == 0 and name or name .. "-" .. count[name]] = true
  end
  pages[path] = anchors
  return anchors
end

local function exists(path)
  local file = io.open(root .. "/" .. path)
  return file and file:close()
end

local function check_link(page, link)
  local path, anchor = link:match "^([^#]*)#?(.*)$"
  local target = path == "" and page or (page:match "^.*/" or "") .. path
  while target:find "[^/]+/%.%./" do target = target:gsub("[^/]+/%.%./", "", 1) end
  if not exists(target) then
    fault("%s: %s leads to no file", page, link)
  elseif anchor ~= "" and not anchors_of(target)[anchor] then
    fault("%s: %s leads to no heading", page, link)
  end
end

local function check_links()
  for page in io.popen("cd '" .. root .. "' && ls *.md docs/*.md"):lines() do
    for link in read(page):gsub("\n```.-\n```", ""):gmatch "%]%((%S-)%)" do
      if not link:find "^%a+://" then check_link(page, link) end
    end
  end
end

-- The names as the table lists them: the last part of each room's, sorted.
local function list_of(rooms)
  local names = {}
  for _, room in ipairs(rooms) do names[#names + 1] = room:match "[^/]+$" end
  table.sort(names)
  return table.concat(names, ", ")
end

local function check_rooms()
  local directions, shown = dofile(root .. "/.ci/map/rules.lua").c.directions, {}
  for room, listed in read("CONTRIBUTING.md"):gmatch "\n| `csrc/([^`]+)/` | ([^|;]+)" do
    local rooms = {}
    for name in listed:gmatch "[%w_]+" do rooms[#rooms + 1] = name ~= "libc" and name or nil end
    shown[room] = list_of(rooms)
    if not directions[room] then fault("CONTRIBUTING.md: csrc/%s is no room", room) end
  end
  for room, rooms in pairs(directions) do
    local expected = list_of(rooms)
    if shown[room] ~= expected then
      fault("CONTRIBUTING.md: csrc/%s may include: %s", room, expected == "" and "libc" or expected)
    end
  end
end

check_routes()
check_errors()
check_modules()
check_links()
check_rooms()
os.exit(faults == 0)
