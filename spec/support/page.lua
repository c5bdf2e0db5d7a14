--- Pages of documentation: their blocks of code, and what the commands in them print.

local page = {}

--- The fenced blocks of a page: a list of {kind, text, before = the text between it and the block
-- above}.
function page.blocks(text)
  local blocks, done = {}, 1
  for from, kind, body, after in text:gmatch "()```(%l*)\n(.-)```\n()" do
    blocks[#blocks + 1] = { kind = kind, text = body, before = text:sub(done, from - 1) }
    done = after
  end
  return blocks
end

--- The commands of a console block: a list of {line, expected = the lines that it prints}.
function page.commands(text)
  local commands = {}
  for line in text:gsub("\\\n%s*", ""):gmatch "[^\n]+" do
    local command = line:match "^%$ (.*)"
    if command then
      commands[#commands + 1] = { line = command, expected = {} }
    else
      table.insert(commands[#commands].expected, line)
    end
  end
  return commands
end

--- The Lua blocks of a page, with the output that the next block shows: a list of {text, expected}.
-- A block that is followed by something else has no `expected`.
function page.examples(text)
  local examples, last = {}, nil
  for _, block in ipairs(page.blocks(text)) do
    if block.kind == "lua" then
      last = { text = block.text }
      examples[#examples + 1] = last
    elseif block.kind == "" and last and block.before:find "^%s*$" then
      last.expected, last = block.text, nil
    else
      last = nil
    end
  end
  return examples
end

--- A pattern for a text that a page shows. In it … stands for anything; port 8080, a
-- timestamp and "after 0 ms" stand for any.
function page.pattern(text)
  text = text:gsub("\n$", ""):gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0")
  text = text:gsub("…", ".-"):gsub(":8080", ":%%d+"):gsub("(timestamp\"?[=:])%d+", "%1%%d+")
  text = text:gsub("after 0 ms", "after %%d+ ms")
  return "^" .. text .. "\n?$"
end

-- Commands that the specs of pages leave out, as patterns, and what runs them instead.
local elsewhere = {
  ["^make run"] = ".ci/run-quickstart and quickstart_spec",
  ["^make test"] = "the tests themselves",
  ["^bin/upstash%-kafka serve %-%-brokers"] = "make test-kafka",
  ["^upstash%-kafka serve"] = "readme_spec, as bin/upstash-kafka",
  ["/produce/small "] = "make test-kafka: only a cluster stores a part",
  ["^apt install"] = ".ci/deps",
  ["^luarocks"] = "make test-rocks",
}

--- The commands of a page that a spec runs: a list for each console block, in order.
function page.console(text)
  local lists = {}
  for _, block in ipairs(page.blocks(text)) do
    local list = {}
    for _, command in ipairs(block.kind == "console" and page.commands(block.text) or {}) do
      local other = false
      for pattern in pairs(elsewhere) do other = other or command.line:find(pattern) end
      if not other then list[#list + 1] = command end
    end
    if #list > 0 then lists[#lists + 1] = list end
  end
  return lists
end

return page
