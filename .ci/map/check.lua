--- What lint refuses in a tree: arrows against the directions, circles, libraries that enter
-- through another door, and entries of the lists of exceptions that no longer hold.

local graph = require "map.graph"

local check = {}

local Checker = {}
Checker.__index = Checker

function Checker:fault(...)
  self.faults[#self.faults + 1] = string.format(...)
end

local function matches(text, patterns)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

function Checker:place(file, line)
  return ("%s/%s:%d"):format(self.tree.folder, file.path, line)
end

-- Includes that are not arrows.

function Checker:check_own(file, include)
  local room = include.header:match "^(.+)/"
  if not room or not self.rules.directions[room] then
    self:fault('%s: include "%s" is not relative to %s', self:place(file, include.line), include.header,
      self.tree.folder)
  elseif not self.tree.of[include.header] then
    self:fault('%s: there is no "%s"', self:place(file, include.line), include.header)
  end
end

function Checker:check_library(file, include)
  if matches(include.header, self.rules.libc) then return end
  for _, door in ipairs(self.rules.doors) do
    if include.header:find(door.header) then
      if not matches(file.path, door.files) then
        self:fault("%s: <%s> enters through another door: %s", self:place(file, include.line), include.header,
          table.concat(door.files, " "))
      end
      return
    end
  end
  self:fault("%s: <%s> is neither libc nor a library of this project", self:place(file, include.line), include.header)
end

function Checker:check_includes()
  for _, file in ipairs(self.tree.files) do
    for _, include in ipairs(file.includes or {}) do
      if not include.header then
        self:fault("%s: an include that names no file", self:place(file, include.line))
      elseif include.own then
        self:check_own(file, include)
      else
        self:check_library(file, include)
      end
    end
  end
end

function Checker:check_rooms()
  local seen = {}
  for _, file in ipairs(self.tree.files) do
    if not self.rules.directions[file.room] and not seen[file.room] then
      self:fault("%s: a room that has no directions", self:place(file, 1))
    end
    seen[file.room] = true
  end
  if #self.tree.files == 0 then self:fault("%s: no files", self.tree.folder) end
end

-- Arrows between rooms.

local SAYS = {
  include = function(arrow) return ('includes "%s"'):format(arrow.name) end,
  require = function(arrow) return ('names the module "%s"'):format(arrow.name) end,
  definition = function(arrow) return ("declares %s, which %s defines"):format(arrow.name, arrow.to.path) end,
}

--- Whether an arrow leads from a room to another that it may not include.
function check.is_upward(rules, arrow)
  if arrow.kind == "call" or arrow.from.room == arrow.to.room then return false end
  for _, known in ipairs(rules.directions[arrow.from.room] or {}) do
    if known == arrow.to.room then return false end
  end
  return true
end

--- The entry for an upward arrow in the list of exceptions.
function check.exception(rules, arrow)
  for _, each in ipairs(rules.upward) do
    if each.from == arrow.from.path and each.to == arrow.to.room then return each end
  end
end

function Checker:check_arrows()
  local used = {}
  for _, arrow in ipairs(self.tree.arrows) do
    if check.is_upward(self.rules, arrow) then
      local exception = check.exception(self.rules, arrow)
      if exception then
        used[exception] = true
      else
        self:fault("%s: %s, upwards: %s may not know %s", self:place(arrow.from, arrow.line), SAYS[arrow.kind](arrow),
          arrow.from.room, arrow.to.room)
      end
    end
  end
  for _, each in ipairs(self.rules.upward) do
    if not used[each] then
      self:fault("%s/%s knows nothing of %s any more: take it off the list", self.tree.folder, each.from, each.to)
    end
  end
end

--- The arrows between rooms, {from = {to = count}}; with rules, without those on the list of
-- exceptions.
function check.room_arrows(tree, rules)
  local arrows = {}
  for _, arrow in ipairs(tree.arrows) do
    local counts = arrow.kind ~= "call" and not (rules and check.exception(rules, arrow))
    if counts then graph.add(arrows, arrow.from.room, arrow.to.room) end
  end
  return arrows
end

function Checker:check_room_circles()
  for _, circle in ipairs(graph.circles(check.room_arrows(self.tree, self.rules))) do
    self:fault("%s: a circle between rooms: %s", self.tree.folder, table.concat(circle, ", "))
  end
end

-- Circles inside a room.

--- The circles of calls (for Lua: of requires), each a sorted list of nouns, and the arrows, {from
-- = {to = count}}.
function check.noun_circles(tree)
  local arrows = {}
  for _, arrow in ipairs(tree.arrows) do
    if (arrow.kind == "call" or arrow.kind == "require") and arrow.from.room == arrow.to.room then
      graph.add(arrows, arrow.from.noun, arrow.to.noun)
    end
  end
  return graph.circles(arrows), arrows
end

local function circle_of(entry)
  local nouns = {}
  for name in entry.nouns:gmatch "%S+" do nouns[#nouns + 1] = entry.folder .. name end
  table.sort(nouns)
  return table.concat(nouns, " ")
end

--- The entry of the list of circles for this one.
function check.listed_circle(rules, circle)
  for _, each in ipairs(rules.circles) do
    if circle_of(each) == table.concat(circle, " ") then return each end
  end
end

function Checker:check_noun_circles()
  local used = {}
  for _, circle in ipairs((check.noun_circles(self.tree))) do
    local entry = check.listed_circle(self.rules, circle)
    if entry then
      used[entry] = true
    else
      self:fault("%s: a circle that stands on no list: %s", self.tree.folder, table.concat(circle, " "))
    end
  end
  for _, each in ipairs(self.rules.circles) do
    if not used[each] then
      self:fault("%s: no longer a circle, take it off the list: %s", self.tree.folder, circle_of(each))
    end
  end
end

--- The faults of a tree, as texts.
function check.faults(tree, rules)
  local self = setmetatable({ tree = tree, rules = rules, faults = {} }, Checker)
  self:check_rooms()
  self:check_includes()
  self:check_arrows()
  self:check_room_circles()
  self:check_noun_circles()
  return self.faults
end

return check
