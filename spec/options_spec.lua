local null = require("upstash.kafka.core").null
local options = require "upstash.kafka.options"

describe("upstash.kafka.options", function()
  local SCHEMA = {
    name = { kind = "name", required = true },
    names = { kind = "names" },
    count = { kind = "integer", min = 2 },
    word = { kind = "word", words = { a = true, b = true }, expects = "'a' or 'b'" },
    place = { kind = "position", words = { here = true }, expects = "a place" },
    from = { kind = "position", words = {}, messages = true, expects = "a start" },
    signals = { kind = "signals", words = { HUP = true, INT = true }, expects = "signals" },
    callback = { kind = "callback" },
  }

  -- Uses options.check as a method does: the caller is to blame.
  local function method(given)
    options.check("method", given, SCHEMA, 2)
    return true
  end

  it("accepts what the schema allows", function()
    for _, given in ipairs {
      { name = "n" },
      { name = "n", names = { "x", "y" }, count = 2, word = "b", place = 0 },
      { name = "n", place = "here" },
      { name = "n", place = { timestamp = 5 } },
      { name = "n", from = { topic = "t", partition = 0, offset = 5, value = "more" } },
      { name = "n", from = { timestamp = 0 }, signals = true, callback = print },
      { name = "n", from = 7, signals = false },
      { name = "n", signals = { "INT", "HUP" } },
    } do
      assert.is_true(method(given))
    end
  end)

  it("B2: treats null as absent, and returns the other options", function()
    local given = { name = "n", names = null, count = null, word = null, place = null }
    assert.same({ name = "n" }, options.check("method", given, SCHEMA, 1))
    assert.equal(null, given.word)
  end)

  for text, given in pairs {
    ["unknown option 'more'"] = { name = "n", more = null },
    ["table expected, got nil"] = false,
    ["unknown option 'nam'"] = { nam = "n" },
    ["unknown option '1'"] = { "n", name = "n" },
    ["name: non-empty string expected, got nil"] = {},
    ["name: non-empty string expected, got ''"] = { name = "" },
    ["names: list of non-empty strings expected, got table"] = { name = "n", names = { "x", 1 } },
    ["count: integer >= 2 expected, got 1"] = { name = "n", count = 1 },
    ["count: integer >= 2 expected, got 2.5"] = { name = "n", count = 2.5 },
    ["word: 'a' or 'b' expected, got 'c'"] = { name = "n", word = "c" },
    ["place: a place expected, got 'there'"] = { name = "n", place = "there" },
    ["place: a place expected, got table"] = { name = "n", place = { timestamp = 1, more = 2 } },
    ["place: a place expected, got -1"] = { name = "n", place = -1 },
    ["place: a place expected, got 0.5"] = { name = "n", place = 0.5 },
    ["from: a start expected, got table"] = { name = "n", from = { topic = "t", partition = 0, offset = 0.5 } },
    ["from: a start expected, got 'here'"] = { name = "n", from = "here" },
    ["callback: function expected, got table"] = { name = "n", callback = {} },
    ["signals: signals expected, got 'INT'"] = { name = "n", signals = "INT" },
  } do
    it("blames the caller's line for: " .. text, function()
      local line = debug.getinfo(1, "l").currentline + 2
      local fine, err = pcall(function()
        local _ = method(given or nil)
      end)
      assert.is_false(fine)
      assert.equal(("options_spec.lua:%d: bad argument #1 to 'method' (%s)"):format(line, text),
        (err:gsub("^.*/", "")))
    end)
  end

  it("accepts a list of names only if each is a non-empty string", function()
    for _, list in ipairs { {}, { "" }, { "x", "" }, { "", "x" }, { "x", false } } do
      local fine, err = pcall(method, { name = "n", names = list })
      assert.is_false(fine)
      assert.truthy(err:find("names: list of non-empty strings expected, got table", 1, true), err)
    end
    assert.is_true(method { name = "n", names = { "x" } })
  end)

  it("accepts a list of words only if the schema knows each, and a message only where one may be", function()
    for _, signals in ipairs { {}, { "INT", "KILL" }, { "KILL", "INT" }, { "INT", 2 }, 5 } do
      local fine, err = pcall(method, { name = "n", signals = signals })
      assert.is_false(fine)
      assert.truthy(err:find("signals: signals expected, got ", 1, true), err)
    end
    assert.is_false((pcall(method, { name = "n", place = { topic = "t", partition = 0, offset = 5 } })))
  end)

  it("knows a message by its place", function()
    assert.is_true(options.is_message { topic = "t", partition = 0, offset = 5 })
    for _, other in ipairs { "t", { partition = 0, offset = 5 }, { topic = 5, partition = 0, offset = 5 },
      { topic = "t", offset = 5 }, { topic = "t", partition = "0", offset = 5 }, { topic = "t", partition = 0 },
      { topic = "t", partition = 0.5, offset = 5 }, { topic = "t", partition = 0, offset = 5.5 } } do
      assert.is_false(options.is_message(other))
    end
    assert.is_false(options.is_message(nil))
  end)

  it("blames the line of the caller for what a method refuses itself, or a dot", function()
    local function refuses() options.refuse("method", "field: no", 2) end
    local function checks(client) options.check_client("method", client, 2) end
    local line = debug.getinfo(1, "l").currentline
    for text, call in pairs {
      ["bad argument #1 to 'method' (field: no)"] = function() refuses() return true end,
      ["calling 'method' on table: write client:method{…}"] = function() checks {} return true end,
    } do
      local fine, err = pcall(call)
      assert.is_false(fine)
      local where, said = err:match "^.*/?options_spec%.lua:(%d+): (.*)$"
      assert.equal(text, said)
      assert.equal(line + (text:find "^bad" and 2 or 3), tonumber(where))
    end
    checks(io.stdout) -- a userdata; the methods of core check its type
  end)

  it("names the first of several wrong fields, in the order of their names", function()
    local schema, given = {}, {}
    for letter in ("qwertyuiopasdfghjklzxcvbnm"):gmatch "." do
      schema[letter], given[letter] = { kind = "name" }, 1
    end
    for letter in ("abcdefghijklm"):gmatch "." do
      local _, err = pcall(options.check, "method", given, schema, 1)
      assert.is_truthy(err:find("(" .. letter .. ": non-empty string expected, got 1)", 1, true), err)
      given[letter] = nil
    end
  end)

  it("always reports the same one of several mistakes", function()
    for _ = 1, 20 do
      local _, err = pcall(method, { count = 0, word = "x", place = "x" })
      assert.is_truthy(err:find("(count: ", 1, true), err)
    end
  end)
end)
