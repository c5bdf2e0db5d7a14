-- for: input_lua.c. Standard input, read as it arrives.

local core = require "upstash.kafka.core"
local shell = require "spec.support.shell"

describe("core.read_input", function()
  -- Runs a program that reads standard input; `before` and `after` are the parts of a shell's line
  -- around it.
  local function run(program, before, after)
    local line = ("%s%s -e %s%s"):format(before, shell.lua, shell.quote(
      'local read = require("upstash.kafka.core").read_input\n' .. program), after or "")
    local status, out, err = shell.run(line)
    assert.equal(0, status, err)
    return out
  end

  it("returns the bytes that are there, and nil at the end", function()
    assert.equal("2 ab\nnil\tnil\n", run([[
      local text = ""
      while #text < 2 do text = text .. read(-1) end
      print(#text .. " " .. text)
      local bytes, message = read(-1)
      print(bytes, message)
    ]], "printf ab | "))
  end)

  it("returns an empty text if nothing comes in time", function()
    -- The other side of the pipe stays open until the program has ended.
    assert.equal("|||\n", run([[print("|" .. read(0) .. "|" .. read(1) .. "|")]],
      "p=$(mktemp -u); mkfifo $p; exec 3<>$p; rm $p; ", " <&3"))
  end)

  it("returns at most 64 KiB at once", function()
    assert.equal("65536\n", run([[print(#read(-1))]], "", " </dev/zero"))
  end)

  it("says why nothing can be read", function()
    assert.equal("nil\tstandard input: Is a directory\n", run([[print(read(-1))]], "", " </"))
  end)

  describe("D1: with a watch of signals", function()
    -- The other side of the pipe stays open.
    local OPEN = "p=$(mktemp -u); mkfifo $p; exec 3<>$p; rm $p; printf ab >&3; "

    it("reads nothing more once a signal has arrived", function()
      assert.equal("ab\tnil\n|\tTERM\n", run([[
        local watch = require("upstash.kafka.core").watch_signals { "TERM" }
        print(read(-1, watch), watch:arrived())
        os.execute("printf c >&3; kill -TERM $PPID")
        print(read(-1, watch) .. "|", watch:arrived())
      ]], OPEN, " <&3"))
    end)

    it("ends its wait at a signal", function()
      assert.equal("ab\n|\tTERM\n|\n", run([[
        local watch = require("upstash.kafka.core").watch_signals { "TERM" }
        print(read(-1, watch))
        os.execute("(sleep 0.2; kill -TERM $PPID) &")
        print(read(-1, watch) .. "|", watch:arrived())
        print(read(-1, watch) .. "|") -- at once, also later
      ]], OPEN, " <&3"))
    end)

    it("reads on if the watch is closed, or watches other signals", function()
      assert.equal("ab\nc\n", run([[
        local core = require "upstash.kafka.core"
        local all, other = core.watch_signals { "TERM" }, core.watch_signals { "USR1" }
        os.execute "kill -TERM $PPID"
        print(read(-1, other))
        os.execute "printf c >&3"
        all:close()
        print(read(-1, all))
      ]], OPEN, " <&3"))
    end)

    it("refuses what is no watch", function()
      for _, wrong in ipairs { 5, "TERM", {}, io.stdout } do
        assert.error_matches(function() core.read_input(0, wrong) end, "bad argument #2 to")
      end
    end)
  end)

  it("refuses what is no time", function()
    for _, wrong in ipairs { -2, 1.5, 2 ^ 31, "soon" } do
      assert.error_matches(function() core.read_input(wrong) end, "milliseconds expected, or %-1")
    end
  end)
end)
