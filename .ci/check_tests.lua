-- check_tests: every C file is named by a test.
--
--   lua5.4 .ci/check_tests.lua [ROOT]
--
-- The first comment of a C test (spec/c/**/*_test.c) or of a spec (spec/**/*_spec.lua) says "for:
-- a.c, b.c": the files of csrc that it tests. Prints each file of csrc that no test names, each
-- name that no file has, and each C test that names none. The status is 1 if it prints anything.

local root = ... or "."
local faults = 0

local function fault(...)
  faults = faults + 1
  print(string.format(...))
end

local function each_file(folder, pattern, use)
  local command = "cd '%s' && find %s -type f -name '%s' | LC_ALL=C sort"
  local pipe = assert(io.popen(command:format(root, folder, pattern)))
  for path in pipe:lines() do use(path) end
  pipe:close()
end

-- The comment at the start of a file, without its comment signs.
local function first_comment(path)
  local file = assert(io.open(root .. "/" .. path))
  local text = file:read "a"
  file:close()
  local of_c = text:match "^/%*(.-)%*/"
  if of_c then return of_c:gsub("\n *%*", "\n") end
  local lines = {}
  for line in text:gmatch "([^\n]*)\n" do
    if not line:find "^%-%-" then break end
    lines[#lines + 1] = line:gsub("^%-+", "")
  end
  return table.concat(lines, "\n")
end

-- The names after "for:", up to the first that no comma follows.
local function names_in(comment)
  local list = comment:match "^%s*[Ff]or:%s*(.*)" or comment:match "[%s%p][Ff]or:%s*(.*)" or ""
  local names = {}
  for name, behind in list:gmatch "([%w_*]+%.[ch])(%p?)%s*" do
    names[#names + 1] = name
    if behind ~= "," then break end
  end
  return names
end

-- Paths below csrc, and those of them that a test names.
local known, named = {}, {}
each_file("csrc", "*.[ch]", function(path) known[#known + 1] = path:match "^csrc/(.*)$" end)

-- Marks what a name stands for: one file, or several where it has a "*".
local function mark(name)
  local pattern = "^" .. name:gsub("%.", "%%."):gsub("%*", ".*") .. "$"
  local found = false
  for _, path in ipairs(known) do
    if path:match("[^/]+$"):find(pattern) then
      named[path], found = true, true
    end
  end
  return found
end

local function read_test(path, must_name)
  local names = names_in(first_comment(path))
  for _, name in ipairs(names) do
    if not mark(name) then fault("%s: csrc has no %s", path, name) end
  end
  if must_name and #names == 0 then
    fault('%s: the first comment does not name the files that it tests: "for: a.c, b.c"', path)
  end
end

each_file("spec/c", "*_test.c", function(path) read_test(path, true) end)
each_file("spec", "*_spec.lua", function(path) read_test(path, false) end)

table.sort(known)
for _, path in ipairs(known) do
  if path:find "%.c$" and not named[path] then fault("csrc/%s: no test names it", path) end
end
os.exit(faults == 0)
