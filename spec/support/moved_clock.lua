--- Moves the clocks of another program while it runs: the other half of spec/shim/moved_clock.c.
--
--     local clock = require("spec.support.moved_clock").new()
--     local environment = { LD_PRELOAD = clock.library, MOVED_CLOCK = clock.path }
--     local process = shell.start(line, { environment = environment })
--     clock:pass(10000)     -- the monotonic clock
--     clock:jump(-3600000)  -- the wall clock

local folder = require "spec.support.folder"
local shell = require "spec.support.shell"

local DIGITS = "%016d%s%016d"

local Clock = {}
Clock.__index = Clock

local moved_clock = {}

--- Why this system cannot preload the library, or nil.
function moved_clock.missing()
  if os.getenv "LD_PRELOAD" then return "needs LD_PRELOAD, which is in use" end
  if not folder.read(shell.here .. "/build/spec/moved_clock.so") then
    return "needs build/spec/moved_clock.so, which make c-tests builds where there is glibc"
  end
end

--- A clock that is right. Remove it at the end.
function moved_clock.new()
  local place = folder.make()
  folder.write(place .. "/clock", DIGITS:format(0, "+", 0))
  return setmetatable({
    place = place, path = place .. "/clock", library = shell.here .. "/build/spec/moved_clock.so",
    ahead = 0, wall = 0,
  }, Clock)
end

local function write(clock)
  local file = assert(io.open(clock.path, "r+b"))
  file:write(DIGITS:format(clock.ahead, clock.wall < 0 and "-" or "+", math.abs(clock.wall)))
  file:close()
end

--- Lets so many milliseconds pass at once. The wall clock stays.
function Clock:pass(milliseconds)
  self.ahead = self.ahead + milliseconds
  write(self)
end

--- Moves the wall clock, forward or back. The monotonic clock stays.
function Clock:jump(milliseconds)
  self.wall = self.wall + milliseconds
  write(self)
end

function Clock:remove()
  folder.remove(self.place)
end

return moved_clock
