local folder = require "spec.support.folder"
local shell = require "spec.support.shell"

-- The checks of .ci/lint that are scripts of the project: each passes over a good tree and refuses
-- one fault at a time.

-- Why the checks cannot run here, or nil.
local function why_not(on_other_luas)
  if _VERSION ~= "Lua 5.4" then return on_other_luas end
  if os.getenv "UPSTASH_KAFKA_BIN" then return "it is about a checkout, not an installation" end
end

describe("lint: comments", function()
  local reason = why_not "once is enough: the script runs on Lua 5.4 anyway"
  if reason then
    pending(reason)
    return
  end

  local place
  before_each(function() place = folder.make() end)
  after_each(function() folder.remove(place) end)

  local function check(name, text)
    folder.write(place .. "/" .. name, text)
    local status, out, err = shell.run(("lua5.4 .ci/check_comments.lua '%s/%s'"):format(place, name))
    assert.equal("", err)
    return status, (out:gsub("^.-/" .. name:gsub("%p", "%%%0") .. ":", ""))
  end

  local function words(columns)
    return ("word "):rep(columns):sub(1, columns - 1) .. "x"
  end

  -- {name, text, the line at fault, or nil}
  local cases = {
    { "a.c", "/* " .. words(94) .. " */\n" },
    { "a.c", "/* " .. words(95) .. " */\n", 1 },
    { "a.h", "int a;\n/* one\n * " .. words(98) .. "\n */\n", 3 },
    { "a.h", "int a;\n/* one\n * " .. words(97) .. "\n */\n" },
    { "a.c", "int a; // " .. words(90) .. "\n" },
    { "a.c", "int a; // " .. words(91) .. "\n", 1 },
    { "a.c", "int a; /* " .. words(91) .. "\n*/\n", 1 },
    { "a.c", "/* \195\164" .. words(93) .. " */\n" }, -- columns, not bytes
    { "a.c", 'const char *a = "// ' .. words(100) .. '";\n' },
    { "a.c", 'const char *a = "\\"// ' .. words(100) .. '";\n' },
    { "a.c", 'const char *a = "/*";\nint ' .. words(120) .. ';\nconst char *b = "*/";\n' },
    { "a.c", "char a = '\"'; // " .. words(100) .. "\n", 1 },
    { "a.c", "int " .. words(120) .. ";\n" },
    { "a.c", "int a;\n\n// " .. words(98), 3 }, -- without an end of the last line
    { "a.lua", "-- " .. words(97) .. "\n" },
    { "a.lua", "-- " .. words(98) .. "\n", 1 },
    { "a.lua", "local a\n--[[ one\n" .. words(101) .. "\n]]\n", 3 },
    { "a.lua", "local a\n--[==[ ]]\n" .. words(101) .. "\n]==]\n", 3 },
    { "a.lua", "---@param a string " .. words(100) .. "\n" },
    { "a.lua", "--- " .. words(97) .. "\n", 1 },
    { "a.lua", 'local a = "-- ' .. words(100) .. '"\n' },
    { "a.lua", "local a = '-- " .. words(100) .. "'\n" },
    { "a.lua", "local a = [[\n-- " .. words(100) .. "\n]]\n" },
  }

  for index, case in ipairs(cases) do
    local name, text, line = case[1], case[2], case[3]
    it(("of %s, case %d: %s"):format(name, index, line and "line " .. line .. " is too long" or "fits"), function()
      local status, out = check(name, text)
      assert.equal(line and 1 or 0, status, out)
      assert.equal(line and tostring(line) or "", out:match "^%d*")
    end)
  end
end)

describe("lint: names in C tests", function()
  local reason = why_not "once is enough: the script runs on Lua 5.4 anyway"
  if reason then
    pending(reason)
    return
  end

  -- {first line of the C test, first line of the spec, what the script prints}
  local cases = {
    { "/* for: one.c, two_a.c, two_b.c */", "", "" },
    { "/* for: one.c, two*.c */", "", "" },
    { "/* for: one.c */", "-- for: two_a.c,\n-- two_b.c. More words.", "" },
    { "/* Words. For: one.c, two_a.c,\n * two_b.c */", "", "" },
    { "/* for: one.c, two_a.c */", "", "csrc/room/two_b.c: no test names it\n" },
    { "/* for: one.c, two*.c, three.c */", "", "spec/c/a_test.c: csrc has no three.c\n" },
    { "", "-- for: one.c, two*.c",
      'spec/c/a_test.c: the first comment does not name the files that it tests: "for: a.c, b.c"\n' },
  }

  for index, case in ipairs(cases) do
    it(("case %d: %s"):format(index, case[3] == "" and "good" or case[3]:gsub("\n", "")), function()
      local place = folder.make()
      os.execute(("mkdir -p '%s/csrc/room' '%s/spec/c'"):format(place, place))
      for _, name in ipairs { "one.c", "two_a.c", "two_b.c", "one.h" } do
        folder.write(("%s/csrc/room/%s"):format(place, name), "")
      end
      folder.write(place .. "/spec/c/a_test.c", case[1] .. "\nint a;\n")
      folder.write(place .. "/spec/a_spec.lua", case[2] .. "\nlocal a\n")
      local status, out = shell.run(("lua5.4 .ci/check_tests.lua '%s'"):format(place))
      folder.remove(place)
      assert.equal(case[3], out)
      assert.equal(out == "" and 0 or 1, status)
    end)
  end
end)

describe("lint: docs", function()
  local reason = why_not "its scripts load the modules for Lua 5.4"
  if reason then
    pending(reason)
    return
  end

  local place
  before_each(function()
    place = folder.make()
    os.execute(("cp -r *.md LICENSE .ci docs examples '%s' && mkdir '%s/csrc' && cp -r csrc/common '%s/csrc'")
      :format(place, place, place))
  end)
  after_each(function() folder.remove(place) end)

  local function change(path, from, to)
    local text = folder.read(place .. "/" .. path)
    local at, last = text:find(from, 1, true)
    assert(at, path .. " does not hold " .. from)
    folder.write(place .. "/" .. path, text:sub(1, at - 1) .. to .. text:sub(last + 1))
  end

  local function assert_check(command, expected)
    local status, out, err = shell.run(command:format(place))
    assert.equal("", err)
    assert.equal(expected, out)
    assert.equal(expected == "" and 0 or 1, status)
  end

  -- {path, a text in it, the replacement, what the check prints}
  local faults = {
    { "docs/loops.md", "](client.md)", "](clients.md)", "docs/loops.md: clients.md leads to no file" },
    { "docs/loops.md", "](client.md#how-calls-fail)", "](client.md#how-calls-work)",
      "docs/loops.md: client.md#how-calls-work leads to no heading" },
    { "docs/loops.md", "](#clientbatches---)", "](#clientbatches)",
      "docs/loops.md: #clientbatches leads to no heading" },
    { "README.md", "](docs/kafka.md)", "](docs/kafkas.md)", "README.md: docs/kafkas.md leads to no file" },
    { "docs/kafka.md", "](../examples/nginx-servers/nginx.conf)", "](../examples/nginx.conf)",
      "docs/kafka.md: ../examples/nginx.conf leads to no file" },
    { "docs/rest-api.md", "### `DELETE /topics/$TOPIC`", "### `DELETE /topic/$TOPIC`",
      "docs/rest-api.md: no line with DELETE /topics/{topic}" },
    { "docs/core.md", "| `core.process_id()` |", "| `core.process()` |",
      "docs/*.md: nothing about process_id of upstash.kafka.core" },
  }

  it("refuses a table of rooms that differs from the rules", function()
    change("CONTRIBUTING.md", "| `csrc/client/sender/` | common, ", "| `csrc/client/sender/` | ")
    assert_check("lua5.4 .ci/check_docs.lua '%s'", "CONTRIBUTING.md: csrc/client/sender may include: client, common\n")
  end)

  it("refuses an unknown room in the table", function()
    change("CONTRIBUTING.md", "| `csrc/server/api/` |", "| `csrc/server/web/` | common |\n| `csrc/server/api/` |")
    assert_check("lua5.4 .ci/check_docs.lua '%s'", "CONTRIBUTING.md: csrc/server/web is no room\n")
  end)

  it("accepts the project's pages", function()
    assert_check("lua5.4 .ci/check_docs.lua '%s'", "")
  end)

  for _, fault in ipairs(faults) do
    it("refuses: " .. fault[4], function()
      change(fault[1], fault[2], fault[3])
      assert_check("lua5.4 .ci/check_docs.lua '%s'", fault[4] .. "\n")
    end)
  end

  it("refuses an errors page that differs from the list", function()
    change("docs/errors.md", "| `bad_request` | 400 |", "| `bad_request` | 500 |")
    assert_check("lua5.4 .ci/check_docs.lua '%s'",
      "docs/errors.md: not what the error list says: make docs/errors.md\n")
  end)

  it("accepts the project's figures", function() assert_check("'%s/.ci/figures' check", "") end)

  it("refuses a figure whose text was changed since it was rendered", function()
    change("docs/figures/overview.dot", "clients", "the clients")
    assert_check("'%s/.ci/figures' check", "docs/figures/overview.svg is not what overview.dot makes: make figures\n")
  end)

  it("refuses a figure that no page shows, or that has no source", function()
    change("README.md", "figures/overview.svg", "figures/other.svg")
    assert_check("'%s/.ci/figures' check", "docs/figures/overview.svg is on no page\n")
    change("README.md", "figures/other.svg", "figures/overview.svg")
    folder.write(place .. "/docs/figures/drawn.svg", "<svg/>")
    assert_check("'%s/.ci/figures' check", "docs/figures/drawn.svg has no source\n")
  end)
end)
