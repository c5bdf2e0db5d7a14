-- map: the rooms of csrc and lua, their sizes, the arrows between them and between their files, and
-- the circles.
--
--   lua5.4 .ci/map.lua [ROOT [RULES]]          prints the map
--   lua5.4 .ci/map.lua check [ROOT [RULES]]    prints the faults; status 1 if there are any
--
-- RULES is a file such as .ci/map/rules.lua with the directions and the lists of exceptions.
-- .ci/map/tree.lua says what an arrow is. `inside` and `leaving` count pairs of nouns with an
-- arrow, within a room and to another one. A circle between rooms consists of includes and
-- definitions; a circle inside a room consists of calls, so that its files may share a header of
-- types.

local here = arg[0]:match "^(.*/)" or "./"
package.path = here .. "?.lua;" .. package.path

local check = require "map.check"
local show = require "map.show"
local tree = require "map.tree"

local words = { ... }
local checking = words[1] == "check" and table.remove(words, 1)
local root, rules = words[1] or ".", dofile(words[2] or here .. "map/rules.lua")
local faults = 0

local function folder_of(language)
  return (root .. "/" .. rules[language].folder):gsub("^%./", "")
end

local function visit(of_language, language)
  if not checking then return show.map(of_language, rules[language]) end
  for _, fault in ipairs(check.faults(of_language, rules[language])) do
    print(fault)
    faults = faults + 1
  end
end

if rules.c then visit(tree.of_c(folder_of "c"), "c") end
if rules.lua then visit(tree.of_lua(folder_of "lua", rules.lua.prefixes), "lua") end
os.exit(faults == 0)
