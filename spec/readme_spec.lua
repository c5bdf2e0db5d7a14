local folder = require "spec.support.folder"
local page = require "spec.support.page"
local shell = require "spec.support.shell"

-- Types what the README says to type: each console block in a checkout, in order, after the Lua
-- blocks were saved under the names that the README gives them. What a command prints is compared
-- with what the README shows.

describe("F5: README", function()
  if _VERSION ~= "Lua 5.4" then
    pending "its commands name lua5.4: they run with the tests on that Lua"
    return
  elseif os.getenv "UPSTASH_KAFKA_BIN" or os.getenv "LD_PRELOAD" then
    pending "its commands are for a plain checkout, neither an installed nor a sanitized one"
    return
  end

  local readme = folder.read "README.md"
  local place, servers, prelude

  -- A writable checkout that links to the files of this one. make keeps the variables on its
  -- command line, and nothing else from a surrounding make.
  setup(function()
    place, servers = folder.make(), {}
    os.execute(("ln -s '%s'/* '%s/.ci' '%s'"):format(shell.here, shell.here, place))
    prelude = ([[
case $MAKEFLAGS in *'-- '*) MAKEFLAGS="-- ${MAKEFLAGS##*-- }" ;; *) unset MAKEFLAGS ;; esac
unset MFLAGS MAKELEVEL LUA LUA_PATH LUA_CPATH XDG_DATA_HOME
export HOME='%s'
cd '%s'
]]):format(place, place)
    for _, block in ipairs(page.blocks(readme)) do
      local name = block.before:match ".*`([%w_]+%.lua)`"
      if block.kind == "lua" then folder.write(place .. "/" .. name, block.text) end
    end
  end)
  teardown(function()
    for _, server in ipairs(servers) do server:remove() end
    folder.remove(place)
  end)

  -- On its own port; the exports that are pasted are those of the first server.
  local function serve(command)
    local line = command.line:gsub("127%.0%.0%.1:%d+", "127.0.0.1:0")
    if line == command.line then line = line .. " --listen 127.0.0.1:0" end
    folder.write(place .. "/serve", prelude .. "exec " .. line)
    local server = shell.start("sh " .. place .. "/serve")
    servers[#servers + 1] = server
    server:expect("export UPSTASH_KAFKA_REST_PASSWORD=[^\n]+\n")
    if #servers == 1 then
      for export in server:output():gmatch "export [^\n]+\n" do prelude = prelude .. export end
    end
    -- The page shows a terminal, where the password itself is printed.
    return (server:output():gsub('PASSWORD="$%(cat [^\n]*%)"\n', "PASSWORD='hidden'\n"))
  end

  local function run(command)
    local status, out, err = shell.run(prelude .. command.line, { seconds = 300 })
    assert.equal(0, status, command.line .. "\n" .. err)
    if command.line:find "^eval " then prelude = prelude .. command.line .. "\n" end
    return out
  end

  local function try(command)
    local is_server = command.line:find "^bin/upstash%-kafka serve"
    local out = (is_server and serve or run)(command)
    if #command.expected > 0 then
      assert(out:find(page.pattern(table.concat(command.expected, "\n"))), command.line .. "\nprinted " .. out)
    end
  end

  for _, commands in ipairs(page.console(readme)) do
    it("can be typed: " .. commands[1].line, function()
      for _, command in ipairs(commands) do try(command) end
    end)
  end

  it("runs each of its Lua blocks", function()
    local commands = {}
    for _, block in ipairs(page.blocks(readme)) do
      if block.kind == "console" then commands[#commands + 1] = block.text end
    end
    local text, count = table.concat(commands), 0
    for _, block in ipairs(page.blocks(readme)) do
      if block.kind == "lua" then
        local name = block.before:match ".*`([%w_]+%.lua)`"
        assert(text:find("$ lua5.4 " .. name .. "\n", 1, true), tostring(name) .. " is not run")
        count = count + 1
      end
    end
    assert(count > 0)
  end)

  it("can be read in a few minutes", function()
    assert(select(2, readme:gsub("\n", "")) < 180)
  end)

  it("gives no number of tests, which would go out of date", function()
    assert.is_nil(readme:find "%d+ passed")
  end)
end)
