--- Moves the monotonic clock of another program ahead, while it runs: the other half of
-- spec/shim/moved_clock.c.
--
--     local clock = require("spec.support.moved_clock").new()
--     local environment = { LD_PRELOAD = clock.library, MOVED_CLOCK = clock.path }
--     local process = shell.start(line, { environment = environment })
--     clock:pass(10000)

local folder = require "spec.support.folder"
local shell = require "spec.support.shell"

local DIGITS = "%016d"

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
  folder.write(place .. "/clock", DIGITS:format(0))
  return setmetatable({
    place = place, path = place .. "/clock", library = shell.here .. "/build/spec/moved_clock.so", ahead = 0,
  }, Clock)
end

--- Lets so many milliseconds pass at once.
function Clock:pass(milliseconds)
  self.ahead = self.ahead + milliseconds
  local file = assert(io.open(self.path, "r+b"))
  file:write(DIGITS:format(self.ahead))
  file:close()
end

function Clock:remove()
  folder.remove(self.place)
end

return moved_clock
