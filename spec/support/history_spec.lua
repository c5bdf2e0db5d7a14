-- history.lua finds the faults of producers that retry.

local folder = require "spec.support.folder"
local history = require "spec.support.history"

describe("history.check_retrying", function()
  local place

  before_each(function() place = folder.make() end)
  after_each(function() folder.remove(place) end)

  -- One partition with these values, and one producer that saw these events.
  local function check(values, events)
    local kept, lines = { count = #values }, {}
    for index, value in ipairs(values) do kept[index - 1] = value end
    for index, event in ipairs(events) do lines[index] = event:gsub(" ", "\t") .. "\n" end
    folder.write(place .. "/log", table.concat(lines))
    return history.check_retrying({ t = { [0] = kept } }, { history.read(place .. "/log") })
  end

  local EVENTS = {
    "try t a:1 t a:2", "part 0 0 - gateway_timeout", "try t a:2", "ok 0 2", "try t a:3", "failed unavailable",
    "try t a:3", "ok 0 3",
  }

  it("explains a copy by an attempt that was left open", function()
    local problems, counts = check({ "a:1", "a:2", "a:2", "a:3" }, EVENTS)
    assert.same({}, problems)
    assert.same({ acknowledged = 3, failed = 2, open = 1, duplicates = 1 }, counts)
  end)

  it("recognises a late copy of an earlier message", function()
    assert.same({}, (check({ "a:1", "a:2", "a:3", "a:2" },
      { "try t a:1", "ok 0 0", "try t a:2", "failed timeout", "try t a:2", "ok 0 1", "try t a:3", "ok 0 2" })))
  end)

  it("finds an acknowledged message that is missing or stored elsewhere", function()
    assert.same({ "acknowledged but lost: t a:3" }, (check({ "a:1", "a:2", "a:2" }, EVENTS)))
    assert.same({ "never sent: t b:1", "acknowledged but lost: t a:3" },
      (check({ "a:1", "a:2", "a:2", "b:1", "a:3" }, EVENTS)))
  end)

  it("finds a copy that no attempt explains", function()
    assert.same({ "t a:3: 2 copies after 2 attempts, of which 0 were left open" },
      (check({ "a:1", "a:2", "a:2", "a:3", "a:3" }, EVENTS)))
  end)

  it("finds a message that stands after a later one of its key", function()
    assert.same({ "t a:2 stands for the first time at 0 2, after 3" }, (check({ "a:1", "a:3", "a:2" },
      { "try t a:1", "ok 0 0", "try t a:3", "ok 0 1", "try t a:2", "ok 0 2" })))
  end)
end)
