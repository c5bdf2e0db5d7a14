--- The files of a tree with their rooms, nouns and arrows.
--
-- A room is a folder. A noun is a .c file with the header of the same name. A .c file without its
-- own header belongs to the noun whose header declares most of what it defines; NAME_private.h
-- belongs to NAME.
--
-- An arrow is { kind, from, to, line, name }, from file to file:
--   include      a file includes a header
--   require      a Lua file names a module of this tree
--   definition   a header declares what a file in another room defines
--   call         a file mentions a function or a variable that another noun defines

local graph = require "map.graph"
local read_c = require "map.read_c"
local read_lua = require "map.read_lua"

local tree = {}

local function each_file(folder, endings, use)
  local pipe = assert(io.popen(("find '%s' -type f 2>/dev/null | LC_ALL=C sort"):format(folder)))
  for path in pipe:lines() do
    if endings[path:match "%.(%w+)$"] then
      local file = assert(io.open(path, "rb"))
      use(path:sub(#folder + 2), file:read "a")
      file:close()
    end
  end
  pipe:close()
end

local function new(folder)
  return { folder = folder, files = {}, of = {}, arrows = {} }
end

local function add_file(self, path, file, room)
  file.path, file.room, file.noun = path, room, path:match "^(.*)%."
  self.files[#self.files + 1] = file
  self.of[path] = file
end

local function add_arrow(self, kind, from, to, line, name)
  self.arrows[#self.arrows + 1] = { kind = kind, from = from, to = to, line = line, name = name }
end

-- {name = file}, for the names that a header declares.
local function find_symbols(self)
  local declared, defined = {}, {}
  for _, file in ipairs(self.files) do
    for name in pairs(file.declares) do declared[name] = declared[name] or file end
  end
  for _, file in ipairs(self.files) do
    for name in pairs(file.defines) do defined[name] = declared[name] and file end
  end
  return declared, defined
end

local function join_private_headers(self)
  for _, file in ipairs(self.files) do
    local noun = file.path:match "^(.*)_private%.h$"
    if noun and (self.of[noun .. ".c"] or self.of[noun .. ".h"]) then file.noun = noun end
  end
end

-- The noun in the file's room whose headers declare most of what the file defines.
local function declaring_noun(file, declared)
  local counts, best = {}, nil
  for name in pairs(file.defines) do
    local header = declared[name]
    if header and header.room == file.room then counts[header.noun] = (counts[header.noun] or 0) + 1 end
  end
  for _, noun in ipairs(graph.sorted_keys(counts)) do
    if not best or counts[noun] > counts[best] then best = noun end
  end
  return best
end

local function find_nouns(self, declared)
  join_private_headers(self)
  for _, file in ipairs(self.files) do
    if file.path:find "%.c$" and not self.of[file.noun .. ".h"] then
      file.noun = declaring_noun(file, declared) or file.noun
    end
  end
end

local function add_includes(self, file)
  for _, include in ipairs(file.includes) do
    local to = include.own and self.of[include.header]
    if to then add_arrow(self, "include", file, to, include.line, include.header) end
  end
end

local function add_definitions(self, file, defined)
  for _, name in ipairs(graph.sorted_keys(file.declares)) do
    local to = defined[name]
    if to and to.room ~= file.room then add_arrow(self, "definition", file, to, file.declares[name], name) end
  end
end

local function add_calls(self, file, defined)
  for _, name in ipairs(graph.sorted_keys(file.mentions)) do
    local to = defined[name]
    if to and to.noun ~= file.noun and not file.declares[name] then
      add_arrow(self, "call", file, to, file.mentions[name], name)
    end
  end
end

--- The C files of a folder.
function tree.of_c(folder)
  local self = new(folder)
  each_file(folder, { c = true, h = true }, function(path, text)
    add_file(self, path, read_c.read(text, path:find "%.h$"), path:match "^(.+)/" or ".")
  end)
  local declared, defined = find_symbols(self)
  find_nouns(self, declared)
  for _, file in ipairs(self.files) do
    add_includes(self, file)
    add_definitions(self, file, defined)
    add_calls(self, file, defined)
  end
  return self
end

local function lua_room(path, prefixes)
  local folder = path:match "^(.+)/"
  if folder then return folder end
  for _, prefix in ipairs(prefixes) do
    if path:find(prefix.pattern) then return prefix.room end
  end
  return "rest"
end

local function module_file(self, module)
  local path = module:gsub("^upstash%.kafka%.?", ""):gsub("%.", "/")
  return self.of[path .. ".lua"] or self.of[path == "" and "init.lua" or path .. "/init.lua"]
end

--- The Lua files of a folder, whose modules are upstash.kafka and below it.
function tree.of_lua(folder, prefixes)
  local self = new(folder)
  each_file(folder, { lua = true }, function(path, text)
    add_file(self, path, read_lua.read(text), lua_room(path, prefixes))
  end)
  for _, file in ipairs(self.files) do
    for _, name in ipairs(file.names) do
      local to = module_file(self, name.module)
      if to and to ~= file then add_arrow(self, "require", file, to, name.line, name.module) end
    end
  end
  return self
end

return tree
