-- busted_output: an output handler of busted that shows what went wrong as it happens, and in the end writes
-- "PASSED FAILED SKIPPED" to the file that TEST_COUNTS names. busted's exit status is the number of failures modulo
-- 256, so nothing else tells a run of 256 failures, or one that died half way, from one without any.

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

  -- The base handler keeps a failed assertion of a test apart from everything else that fails.
  busted.subscribe({ "failure" }, function(element)
    local list = element.descriptor == "it" and handler.failures or handler.errors
    return show(list[#list])
  end)

  busted.subscribe({ "error" }, function()
    return show(handler.errors[#handler.errors])
  end)

  busted.subscribe({ "suite", "end" }, function()
    for _, entry in ipairs(handler.pendings) do
      io.write("SKIPPED: ", entry.name, entry.message and ": " .. tostring(entry.message) or "", "\n")
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
