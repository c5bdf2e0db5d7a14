-- check_comments: comments in C and Lua are wrapped at 100 columns.
--
--   lua5.4 .ci/check_comments.lua FILE...       files whose names end in .c, .h or .lua
--
-- Prints each line with a longer one; status 1 when there is one. Annotations (---@) are exempt,
-- because they cannot be wrapped.

local COLUMNS = 100

-- What begins a comment, a string or a character, as a pattern at a place: the pattern that matches
-- it whole.
local TOKENS = {
  c = {
    { '"', '"[^"\\\n]*', '"' }, { "'", "'[^'\\\n]*", "'" },
    { "/%*", comment = "/%*.-%*/" }, { "//", comment = "//[^\n]*" },
  },
  lua = {
    { '"', '"[^"\\\n]*', '"' }, { "'", "'[^'\\\n]*", "'" },
    { "%-%-%-@", "%-%-%-@[^\n]*" },
    { "%-%-%[(=*)%[", comment = "%-%-%[(=*)%[.-%]%1%]" }, { "%-%-", comment = "%-%-[^\n]*" },
    { "%[(=*)%[", "%[(=*)%[.-%]%1%]" },
  },
}

-- The last byte of a string with escapes, from its first quote.
local function end_of_string(text, from, quote)
  local at = from + 1
  while at <= #text do
    local byte = text:sub(at, at)
    if byte == quote or byte == "\n" then return at end
    at = at + (byte == "\\" and 2 or 1)
  end
  return #text
end

-- The last byte of the token at `from`, and whether it is a comment; nil where none begins.
local function token_at(text, from, tokens)
  for _, token in ipairs(tokens) do
    if text:find("^" .. token[1], from) then
      if token[3] then return end_of_string(text, from, token[3]), false end
      local _, last = text:find("^" .. (token.comment or token[2]), from)
      return last or #text, token.comment ~= nil
    end
  end
end

local function columns_of(line)
  return utf8.len(line) or #line
end

-- Calls `long(number, columns)` for each line of the text that a comment makes too long.
local function check(text, tokens, long)
  local line, start, at = 1, 1, 1
  local comment_line -- the last line that holds a part of a comment
  local function next_line(stop)
    local columns = columns_of(text:sub(start, stop - 1))
    if comment_line == line and columns > COLUMNS then long(line, columns) end
    line, start = line + 1, stop + 1
  end
  while at do
    local last, is_comment = token_at(text, at, tokens)
    last = last or at
    if is_comment then comment_line = line end
    local stop = text:find("\n", at, true)
    while stop and stop <= last do
      next_line(stop)
      if is_comment and stop < last then comment_line = line end
      stop = text:find("\n", stop + 1, true)
    end
    at = text:find("[\n\"'/%-%[]", last + 1)
  end
  next_line(#text + 1)
end

local faults = 0
for _, path in ipairs(arg) do
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  check(text, TOKENS[path:match "%.lua$" and "lua" or "c"], function(line, columns)
    faults = faults + 1
    print(("%s:%d: a comment in a line of %d columns, over %d"):format(path, line, columns, COLUMNS))
  end)
end
os.exit(faults == 0)
