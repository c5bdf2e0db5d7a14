-- busted_output: a busted output handler that shows failures as they happen and at the end writes
-- "PASSED FAILED SKIPPED" to the file that TEST_COUNTS names. busted's exit status is the number of
-- failures modulo 256, so only that file distinguishes a clean run from one with 256 failures or
-- one that died half-way.
--
-- A spec file in which no test ran and none was skipped fails; if it cannot run here, it must call
-- pending(reason).

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base" ()

  local function indent(text)
    return (text:gsub("^\n", ""):gsub("\n", "\n  "))
  end

  local function show(entry)
    local trace = entry.trace or {}
    local message = type(entry.message) == "string" and entry.message or require "pl.pretty".write(entry.message)
    io.write("FAILED: ", entry.name, "\n  ", indent(message), "\n")
    if entry.isError and trace.traceback then io.write("  ", indent(trace.traceback), "\n") end
    io.flush()
    return nil, true
  end

  -- The base handler distinguishes a test's failed assertion from all other failures.
  busted.subscribe({ "failure" }, function(element)
    local list = element.descriptor == "it" and handler.failures or handler.errors
    return show(list[#list])
  end)

  busted.subscribe({ "error" }, function()
    return show(handler.errors[#handler.errors])
  end)

  -- The running file and its events: tests, including skipped ones, and errors.
  local name, events = nil, 0
  local function count()
    events = events + 1
    return nil, true
  end
  for _, event in ipairs { { "test", "start" }, { "error" }, { "failure" } } do busted.subscribe(event, count) end

  busted.subscribe({ "file", "start" }, function(file)
    name, events = file.name, 0
    return nil, true
  end)

  busted.subscribe({ "file", "end" }, function()
    if events == 0 then
      handler.errorsCount = handler.errorsCount + 1
      io.write("FAILED: ", name, ": no test ran and none was skipped\n")
    end
    return nil, true
  end)

  local skipped_in = {}
  busted.subscribe({ "test", "end" }, function(_, _, status)
    if status == "pending" then skipped_in[#handler.pendings] = name end
    return nil, true
  end)

  busted.subscribe({ "suite", "end" }, function()
    for index, entry in ipairs(handler.pendings) do
      -- A test that returns pending(reason) gets the position of its caller in front, which is
      -- busted.
      local reason = entry.message and ": " .. tostring(entry.message):gsub("^%S*busted:%d+: ", "") or ""
      io.write("SKIPPED: ", skipped_in[index], ": ", entry.name, reason, "\n")
    end
    local passed, skipped = handler.successesCount, handler.pendingsCount
    local failed = handler.failuresCount + handler.errorsCount
    local seconds = handler.getDuration()
    io.write(string.format("%d passed, %d failed, %d skipped, %.1f s\n", passed, failed, skipped, seconds))
    local path = os.getenv "TEST_COUNTS"
    if path then
      local file = assert(io.open(path, "w"))
      assert(file:write(string.format("%d %d %d\n", passed, failed, skipped)))
      assert(file:close())
    end
    return nil, true
  end)

  return handler
end
