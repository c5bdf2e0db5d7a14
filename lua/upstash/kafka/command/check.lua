--- `upstash-kafka check`: looks for damage in a data folder, and copies out what is whole.

local command_format = require "upstash.kafka.command.format"
local command_line = require "upstash.kafka.command.line"

local number = command_format.number

local function summary(counts)
  return ("%s topics, %s batches, %s messages, %s committed offsets, %s bytes"):format(number(counts.topics),
    number(counts.batches), number(counts.records), number(counts.committed), number(counts.bytes))
end

-- Prints each line as it comes. Progress is for people who watch.
local function reporter(progress)
  local reports = {}
  function reports.damaged(line) io.stdout:write("damaged: ", line, "\n") end
  function reports.note(line) io.stdout:write("note: ", line, "\n") end
  function reports.progress(pages, all)
    progress:show(pages, ("of %s pages"):format(number(all)))
  end
  return function(kind, ...) reports[kind](...) end
end

local function check(given)
  local server = command_line.server "check"
  local progress = command_format.progress("checked", false)
  local counts, message = server.check { data = given[1], salvage = given.salvage, report = reporter(progress) }
  progress:done()
  if not counts then command_line.fail("check: %s", message) end
  io.stdout:write("whole: ", summary(counts), "\n")
  if given.salvage then io.stdout:write("copied to ", given.salvage, "\n") end
  io.stdout:flush() -- both may go to one file, and this comes first
  if counts.damaged > 0 then
    command_line.fail("check: %s is damaged in %s", given[1], counts.damaged == 1 and "1 place" or
      number(counts.damaged) .. " places")
  end
end

return {
  check = {
    name = "check",
    words = "DIR [--salvage NEW]",
    least = 1, most = 1,
    about = [[
Reads every page, batch and table of the data folder DIR of a stopped server, and prints a line for each damage. It
changes nothing in DIR. Exit status: 0 whole, 1 damaged or failed.]],
    options = {
      { name = "salvage", value = "NEW", kind = "name",
        about = "copy what is whole into the new folder NEW, at the same offsets" },
    },
    run = check,
  },
}
