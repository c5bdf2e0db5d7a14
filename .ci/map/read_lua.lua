--- Reads a Lua file: which modules it names, and how long its functions are.

local read_lua = {}

local OPENS = { ["function"] = true, ["if"] = true, ["do"] = true, ["repeat"] = true }
local CLOSES = { ["end"] = true, ["until"] = true }

-- Calls use(kind, text, at) for each comment ("--"), string ("s") and word ("w").
local function scan(text, use)
  local at = 1
  while at <= #text do
    local from = text:find("[%a_%-\"'%[]", at)
    if not from then return end
    local to, kind
    local equals = text:match("^%-?%-?%[(=*)%[", from)
    local comment = text:sub(from, from + 1) == "--"
    if equals and (comment or text:sub(from, from) == "[") then
      kind, to = comment and "--" or "s", select(2, text:find("]" .. equals .. "]", from, true)) or #text
    elseif comment then
      kind, to = "--", (text:find("\n", from, true) or #text + 1) - 1
    elseif text:find("^[\"']", from) then
      kind, to = "s", from
      repeat to = text:find("[\\" .. text:sub(from, from) .. "\n]", to + 1) or #text
        local escape = text:sub(to, to) == "\\"
        if escape then to = to + 1 end
      until not escape
    else
      kind, to = "w", select(2, text:find("^[%w_]+", from)) or from
    end
    use(kind, text:sub(from, to), from)
    at = to + 1
  end
end

local function line_counter(text)
  local line, counted = 1, 1
  return function(at)
    line = line + select(2, text:sub(counted, at - 1):gsub("\n", ""))
    counted = at
    return line
  end
end

local function name_of(text, at)
  return text:match("^function%s+([%w_.:]+)", at) or text:sub(1, at - 1):match "([%w_.]+)%s*=%s*$" or "(without a name)"
end

--- The file as { lines, functions, names = {{ line, module }, …} }.
function read_lua.read(text)
  local file = { functions = {}, names = {}, lines = select(2, text:gsub("\n", "")) }
  local line_of, open = line_counter(text), {}
  scan(text, function(kind, word, at)
    local line = line_of(at)
    if kind == "s" then
      local module = word:match "^[\"'](upstash%.kafka[%w_.]*)[\"']$"
      if module then file.names[#file.names + 1] = { line = line, module = module } end
    elseif kind == "w" and OPENS[word] then
      open[#open + 1] = { line = line, name = word == "function" and name_of(text, at) }
    elseif kind == "w" and CLOSES[word] then
      local block = table.remove(open)
      if block and block.name then
        file.functions[#file.functions + 1] = { name = block.name, line = block.line, lines = line - block.line + 1 }
      end
    end
  end)
  return file
end

return read_lua
