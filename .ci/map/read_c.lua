--- Reads a C file that clang-format has formatted: what it includes, declares, defines and
-- mentions.

local read_c = {}

local function blanks(text)
  return (text:gsub("[^\n]", " "))
end

-- The end of the string or character literal that starts at `from`.
local function literal_end(text, quote, from)
  local at = from + 1
  while true do
    local stop = text:find("[" .. quote .. "\\\n]", at)
    if not stop then return #text end
    if text:sub(stop, stop) ~= "\\" then return stop end
    at = stop + 2
  end
end

-- The text with comments and literals blanked, and every other character in its place.
local function without_comments(text)
  local out, at = {}, 1
  while true do
    local from = text:find("[/\"']", at)
    if not from then break end
    local sign, to = text:sub(from, from + 1), nil
    if sign == "/*" then
      to = select(2, text:find("*/", from + 2, true)) or #text
    elseif sign == "//" then
      to = (text:find("\n", from, true) or #text + 1) - 1
    elseif sign:sub(1, 1) ~= "/" then
      to = literal_end(text, sign:sub(1, 1), from)
    end
    out[#out + 1] = text:sub(at, from - 1)
    out[#out + 1] = to and blanks(text:sub(from, to)) or "/"
    at = (to or from) + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

-- The same without preprocessor lines.
local function without_directives(code)
  local out, continues = {}, false
  for line in code:gmatch "[^\n]*" do
    local directive = continues or line:find "^%s*#"
    out[#out + 1] = directive and "" or line
    continues = directive and line:find "\\%s*$"
  end
  return table.concat(out, "\n")
end

-- The file scope: text in braces is blanked, and an opening brace ends a statement.
local function outermost(code)
  return (code:gsub("%b{}", function(block) return ";" .. blanks(block):sub(2) end))
end

local function bare(statement)
  return (statement:gsub("__attribute__%s*%b()", blanks))
end

local function function_name(statement)
  return bare(statement):match "([%a_][%w_]*)%s*%("
end

-- Calls use(statement, line) for each statement of the file scope.
local function each_statement(scope, use)
  local line = 1
  for space, statement in scope:gmatch "(%s*)([^;]*);?" do
    line = line + select(2, space:gsub("\n", ""))
    if statement ~= "" then use(statement, line) end
    line = line + select(2, statement:gsub("\n", ""))
  end
end

local function variable_name(statement)
  if statement:find("(", 1, true) then return nil end
  return statement:gsub("=.*", ""):gsub("%b[]", ""):match "([%a_][%w_]*)%s*$"
end

-- {name = line}: the functions and variables that a header declares and a .c file defines.
local function read_declarations(scope)
  local declares = {}
  each_statement(scope, function(statement, line)
    local name = function_name(statement)
    if statement:find "^static" or statement:find "^typedef" then
      return
    elseif name then
      declares[name] = line
    elseif statement:find "^extern" then
      for each in statement:gsub("%b[]", ""):gmatch "([%a_][%w_]*)%s*%f[,\0]" do declares[each] = line end
    end
  end)
  return declares
end

-- The function definitions, with their numbers of lines, from the first line of the head to the
-- closing brace.
local function read_functions(code)
  local functions, head, first, line = {}, "", 1, 0
  local open
  for text in code:gmatch "([^\n]*)\n" do
    line = line + 1
    if open then
      if text:find "^}" then
        open.lines = line - open.line + 1
        functions[#functions + 1] = open
        open = nil
      end
    elseif text:find "^{%s*$" and function_name(head) then
      open = { name = function_name(head), line = first, static = head:find "%f[%w]static%f[%W]" ~= nil }
      head = ""
    elseif text:find "^%s*$" or text:find "[;}]%s*$" then
      head = ""
    else
      if head == "" then first = line end
      head = head .. text .. "\n"
    end
  end
  return functions
end

local function read_definitions(functions, scope)
  local defines = {}
  for _, each in ipairs(functions) do
    if not each.static then defines[each.name] = each.line end
  end
  each_statement(scope, function(statement, line)
    local name = not statement:find "^static" and not statement:find "^extern" and variable_name(statement)
    if name then defines[name] = defines[name] or line end
  end)
  return defines
end

local function read_includes(text)
  local includes, line = {}, 0
  for each in text:gmatch "([^\n]*)\n" do
    line = line + 1
    if each:find "^%s*#%s*include" then
      local quote, header = each:match '^%s*#%s*include%s*(["<])([^">]+)[">]'
      includes[#includes + 1] = { line = line, own = quote == '"', header = header }
    end
  end
  return includes
end

local TAGS = { struct = true, enum = true, union = true }

-- {name = the line of its first mention}; a type's tag is not a mention of a function with that
-- name.
local function read_mentions(raw)
  local mentions, line, before = {}, 0, nil
  for text in raw:gmatch "([^\n]*)\n" do
    line = line + 1
    for name in text:gmatch "[%a_][%w_]*" do
      if not TAGS[before] then mentions[name] = mentions[name] or line end
      before = name
    end
  end
  return mentions
end

--- The file as { lines, includes, functions, declares, defines, mentions }.
function read_c.read(text, is_header)
  local raw = without_comments(text)
  local code = without_directives(raw)
  local scope = outermost(code)
  local functions = read_functions(code)
  return {
    lines = select(2, text:gsub("\n", "")),
    includes = read_includes(text),
    functions = functions,
    declares = is_header and read_declarations(scope) or {},
    defines = is_header and {} or read_definitions(functions, scope),
    mentions = read_mentions(raw),
  }
end

return read_c
