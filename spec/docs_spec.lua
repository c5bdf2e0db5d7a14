local folder = require "spec.support.folder"
local page = require "spec.support.page"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

-- Runs the examples of docs/ as a reader does, from the top of a page to its end, against a server
-- that was just started, and compares what they print with what the page shows.

describe("F5: docs", function()
  if _VERSION ~= "Lua 5.4" then
    pending "they show what Lua 5.4 prints"
    return
  end

  local server, place

  before_each(function()
    server, place = support.start(), folder.make()
  end)
  after_each(function()
    server:stop()
    folder.remove(place)
  end)

  -- Loops and producers are pages about a client that the reader has.
  local CLIENT = 'local kafka = require "upstash.kafka"\nlocal client = kafka.new()\n'

  -- The client that the page creates calls the test's server; the data folder is the test's too.
  local function script_of(text, examples)
    local parts = { text:find('require "upstash.kafka', 1, true) and "" or CLIENT }
    for _, example in ipairs(examples) do parts[#parts + 1] = 'io.write "\\1\\n"\n' .. example.text end
    local access = ('url = %q, username = %q, password = %q'):format(server.url, server.username, server.password)
    local script = table.concat(parts)
      :gsub('url = "http://127%.0%.0%.1:8080", username = "kafka", password = "secret"', (access:gsub("%%", "%%%%")))
      :gsub("/tmp/messages", place .. "/messages")
    return script
  end

  local function assert_examples(path)
    local text = folder.read(path)
    local examples = page.examples(text)
    folder.write(place .. "/page.lua", script_of(text, examples))
    local status, out, err = shell.run(shell.lua .. " " .. place .. "/page.lua", { environment = server:environment() })
    assert.equal(0, status, err)
    out = out:gsub(place:gsub("%p", "%%%0"), "/tmp")
    local index = 0
    for printed in out:gmatch "\1\n([^\1]*)" do
      index = index + 1
      local expected = examples[index].expected or ""
      assert(printed:find(page.pattern(expected)), ("%s\nprinted\n%s\nnot\n%s"):format(
        examples[index].text, printed, expected))
    end
    assert.equal(#examples, index)
    assert(index > 0)
  end

  for _, path in ipairs { "docs/client.md", "docs/core.md", "docs/loops.md", "docs/producer.md", "docs/server.md" } do
    it(path .. ": every Lua block runs and prints what is shown", function() assert_examples(path) end)
  end

  local function assert_commands(path)
    folder.write(place .. "/upstash-kafka", ("#!/bin/sh\nexec %s \"$@\"\n"):format(shell.command))
    os.execute("chmod +x '" .. place .. "/upstash-kafka'")
    local environment = server:environment { PATH = place .. ":" .. os.getenv "PATH" }
    local count = 0
    for _, commands in ipairs(page.console(folder.read(path))) do
      for _, command in ipairs(commands) do
        local _, out, err = shell.run(command.line:gsub("^curl ", "curl -s "), { environment = environment })
        local expected = #command.expected == 0 and "…" or table.concat(command.expected, "\n")
        assert((err .. out):find(page.pattern(expected)), command.line .. "\nprinted\n" .. err .. out)
        count = count + 1
      end
    end
    assert(count > 0)
  end

  for _, path in ipairs { "docs/command.md", "docs/migrating.md", "docs/rest-api.md" } do
    it(path .. ": every command runs and prints what is shown", function() assert_commands(path) end)
  end
end)
