-- The modules that this Lua loads are hardened, whatever flags the build was given: in the checkout
-- by make, in an installation by LuaRocks.

local folder = require "spec.support.folder"
local shell = require "spec.support.shell"

-- The file of a C module.
local function path_of(module)
  local name = module:gsub("%.", "/")
  for template in package.cpath:gmatch "[^;]+" do
    local path = template:gsub("%?", (name:gsub("%%", "%%%%")))
    if folder.read(path) then return path end
  end
  error("not on package.cpath: " .. module)
end

-- What readelf prints.
local function elf(words, path)
  local status, out, err = shell.run("readelf --wide " .. words .. " " .. shell.quote(path))
  assert.equal(0, status, err)
  return out
end

for _, module in ipairs { "upstash.kafka.core", "upstash.kafka.server" } do
  describe(module, function()
    local path, symbols

    setup(function()
      path = path_of(module)
      symbols = elf("--dyn-syms", path)
    end)

    it("has a table of addresses that is read-only once it is loaded (relro, now)", function()
      assert.truthy(elf("--program-headers", path):find "GNU_RELRO")
      assert.truthy(elf("--dynamic", path):find "FLAGS_1%)%s+Flags:[^\n]*NOW")
    end)

    it("has no stack that can be executed", function()
      assert.truthy(elf("--program-headers", path):find "GNU_STACK%s+%S+ %S+ %S+ %S+ %S+ RW ")
    end)

    it("checks the stack of its functions (-fstack-protector-strong)", function()
      assert.truthy(symbols:find " UND __stack_chk_fail")
    end)

    it("checks the sizes of libc's calls (_FORTIFY_SOURCE)", function()
      if symbols:find " UND __[at]san_" then return pending "needs a build without sanitizers" end
      assert.truthy(symbols:find " UND __%w+_chk[@%s]")
    end)
  end)
end
