--- Makes the system calls of another program fail, while it runs: the other half of
-- spec/shim/faults.c, which names the kinds of calls and of faults.
--
--     local faults = require("spec.support.faults").new()
--     local process = shell.start(line, { environment = faults:environment() })
--     faults:on "fdatasync:EIO:300 malloc:ENOMEM:50"
--     faults:off()
--     local calls, hits = faults:count "fdatasync"

local folder = require "spec.support.folder"
local shell = require "spec.support.shell"

local PAGE = 4096
local RULES = 2047 -- bytes, after the first one
local KINDS = { "fdatasync", "fsync", "pwrite", "meta", "write", "msync", "mmap", "malloc", "calloc", "realloc",
  "send", "recv", "accept", "connect", "open", "ftruncate", "fallocate", "rename" }

local Faults = {}
Faults.__index = Faults

local faults = {}

--- Why this system cannot preload the library, or nil.
function faults.missing()
  if os.getenv "LD_PRELOAD" then return "needs LD_PRELOAD, which is in use" end
  if not folder.read(shell.here .. "/build/spec/faults.so") then
    return "needs build/spec/faults.so, which make c-tests builds where there is glibc"
  end
end

--- Rules that are off. Remove it at the end.
function faults.new()
  local place = folder.make()
  local path = place .. "/faults"
  folder.write(path, "-" .. ("\0"):rep(PAGE - 1))
  return setmetatable({ place = place, path = path }, Faults)
end

--- The variables of the program's environment.
function Faults:environment(more)
  local all = { LD_PRELOAD = shell.here .. "/build/spec/faults.so", FAULTS = self.path }
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

function Faults:write(position, bytes)
  local file = assert(io.open(self.path, "r+b"))
  file:seek("set", position)
  file:write(bytes)
  file:close()
end

--- From the program's next call on, the rules do not hold.
function Faults:off()
  self:write(0, "-")
end

--- From the program's next call on, these rules hold, and the counts start at 0.
function Faults:on(rules, seed)
  local text = (seed or 1) .. " " .. rules
  assert(#text < RULES, "too many rules")
  self:off()
  self:write(1, text .. ("\0"):rep(PAGE - 1 - #text))
  self:write(0, "+")
end

local function number_of(bytes, position)
  local number = 0
  for index = position + 8, position + 1, -1 do number = number * 256 + bytes:byte(index) end
  return number
end

--- How many calls of that kind there were while the last rules held, and how many failed.
function Faults:count(kind)
  local bytes = folder.read(self.path)
  for index, name in ipairs(KINDS) do
    local position = RULES + 1 + 16 * (index - 1)
    if name == kind then return number_of(bytes, position), number_of(bytes, position + 8) end
  end
  error("no such kind of call: " .. kind, 2)
end

--- How many calls failed while the last rules held.
function Faults:hits()
  local all = 0
  for _, kind in ipairs(KINDS) do all = all + select(2, self:count(kind)) end
  return all
end

function Faults:remove()
  folder.remove(self.place)
end

return faults
