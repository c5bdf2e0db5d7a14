local folder = require "spec.support.folder"
local shell = require "spec.support.shell"

local RULES = [[
local common, client, server = %s, %s, %s
return {
  c = {
    folder = "csrc",
    directions = { common = common, client = client, server = server, ["server/log"] = { "common" } },
    doors = { { header = "^zlib%%.h$", files = { "^common/gzip%%.c$" } } },
    libc = { "^stdio%%.h$" },
    upward = { %s },
    circles = { %s },
  },
  lua = { folder = "lua", prefixes = {}, directions = { rest = {}, high = { "rest" } }, upward = {}, circles = {} },
}
]]

-- Two nouns of each room, and an arrow from client and from server to common.
local FILES = {
  ["csrc/common/list.h"] = "struct uk_list;\nint uk_list_size(const struct uk_list *list);\n",
  ["csrc/common/list.c"] = '#include "common/list.h"\n\nint uk_list_size(const struct uk_list *list)\n{\n'
    .. "  return list != 0; // {\n}\n",
  ["csrc/common/text.h"] = "int uk_text_size(void);\nextern const int uk_text_most, uk_text_least;\n",
  ["csrc/common/text.c"] = '#include "common/text.h"\n\n#include <stdio.h>\n\nconst int uk_text_most = 4;\n\n'
    .. "int uk_text_size(void)\n{\n  return 1;\n}\n",
  ["csrc/client/call.h"] = "int uk_call(void);\n",
  ["csrc/client/call.c"] = '#include "client/call.h"\n\n#include "common/list.h"\n\n'
    .. "int uk_call(void)\n{\n  return uk_list_size(0);\n}\n",
  ["csrc/server/start.h"] = "int uk_start(void);\n",
  ["csrc/server/start.c"] = '#include "server/start.h"\n\n#include "common/text.h"\n\n'
    .. "int uk_start(void)\n{\n  return uk_text_size();\n}\n",
  ["lua/init.lua"] = "return {}\n",
  ["lua/high/init.lua"] = 'local function f()\n  return require "upstash.kafka"\nend\n\nreturn f\n',
}

-- Runs the map over a tree of these files, with `changes` {path = text} and the `lists` of the
-- rules.
local function run(words, changes, lists)
  local root, files = folder.make(), {}
  for path, text in pairs(FILES) do files[path] = text end
  for path, text in pairs(changes or {}) do files[path] = text end
  for path, text in pairs(files) do
    os.execute(("mkdir -p '%s/%s'"):format(root, path:match "^(.*)/"))
    folder.write(root .. "/" .. path, text)
  end
  lists = lists or {}
  folder.write(root .. "/rules.lua", RULES:format(lists.common or "{}", lists.client or '{ "common" }',
    lists.server or '{ "common", "server/log" }', lists.upward or "", lists.circles or ""))
  local status, out, err = shell.run(("lua5.4 .ci/map.lua %s '%s' '%s/rules.lua'"):format(words, root, root))
  folder.remove(root)
  return status, (out:gsub(root:gsub("%p", "%%%0") .. "/", "")), err
end

local function assert_refused(expected, changes, lists)
  local status, out, err = run("check", changes, lists)
  assert.equal("", err)
  assert.equal(expected, out)
  assert.equal(1, status)
end

local function assert_taken(changes, lists)
  local status, out, err = run("check", changes, lists)
  assert.equal("", err)
  assert.equal("", out)
  assert.equal(0, status)
end

-- list.c and text.c call each other.
local CIRCLE = {
  ["csrc/common/list.c"] = '#include "common/list.h"\n\n#include "common/text.h"\n\n'
    .. "int uk_list_size(const struct uk_list *list)\n{\n  return list ? uk_text_size() : 0;\n}\n",
  ["csrc/common/text.c"] = '#include "common/text.h"\n\n#include "common/list.h"\n\n'
    .. "int uk_text_size(void)\n{\n  return uk_list_size(0);\n}\n",
}

describe("make map", function()
  if shell.run "command -v lua5.4" ~= 0 then
    pending "needs lua5.4"
    return
  elseif os.getenv "UPSTASH_KAFKA_BIN" then
    pending "it is about a checkout, not an installation"
    return
  end

  it("accepts a tree whose arrows point downwards", function()
    assert_taken()
  end)

  it("refuses an upward include", function()
    assert_refused('csrc/common/list.h:1: includes "client/call.h", upwards: common may not know client\n'
      .. "csrc: a circle between rooms: client, common\n",
      { ["csrc/common/list.h"] = '#include "client/call.h"\nint uk_list_size(const struct uk_list *list);\n' })
  end)

  it("refuses an include from a room beside it", function()
    assert_refused('csrc/server/start.h:1: includes "client/call.h", upwards: server may not know client\n',
      { ["csrc/server/start.h"] = '#include "client/call.h"\nint uk_start(void);\n' })
  end)

  it("refuses a header that declares what a room above defines", function()
    local changes = {
      ["csrc/common/text.h"] = "int uk_text_size(void);\n\n/* Above. */\nint uk_call_size(const char *text,\n"
        .. "                 int size) __attribute__((nonnull(1)));\n",
      ["csrc/client/call_size.c"] = '#include "common/text.h"\n\nint uk_call_size(const char *text, int size)\n{\n'
        .. "  return text != 0 && size;\n}\n",
    }
    assert_refused("csrc/common/text.h:4: declares uk_call_size, which client/call_size.c defines, upwards: "
      .. "common may not know client\ncsrc: a circle between rooms: client, common\n", changes)
    assert_taken(changes, { upward = '{ from = "common/text.h", to = "client", reason = "" }' })
  end)

  it("refuses a variable that a room above defines", function()
    local _, out = run("check", {
      ["csrc/client/call.c"] = '#include "common/text.h"\n\nconst int uk_text_least = 3;\n',
    })
    assert.truthy(out:find("common/text.h:2: declares uk_text_least, which client/call.c defines", 1, true))
  end)

  it("refuses a circle between rooms that the directions allow", function()
    assert_refused("csrc: a circle between rooms: client, server\n", {
      ["csrc/client/call.h"] = '#include "server/start.h"\nint uk_call(void);\n',
      ["csrc/server/start.c"] = '#include "server/start.h"\n\n#include "client/call.h"\n',
    }, { client = '{ "common", "server" }', server = '{ "client", "common", "server/log" }' })
  end)

  it("refuses a circle inside a room that is on no list", function()
    assert_refused("csrc: a circle that stands on no list: common/list common/text\n", CIRCLE)
    assert_taken(CIRCLE, { circles = '{ folder = "common/", nouns = "list text", reason = "" }' })
  end)

  it("sees through a .c file without a header of its own, and a private header", function()
    assert_refused("csrc: a circle that stands on no list: common/list common/text\n", {
      ["csrc/common/list_private.h"] = "int uk_list_part(void);\n",
      ["csrc/common/list_part.c"] = '#include "common/list_private.h"\n\nint uk_list_part(void)\n{\n'
        .. "  return uk_text_size();\n}\n",
      ["csrc/common/text.c"] = CIRCLE["csrc/common/text.c"],
    })
  end)

  it("accepts files of a room that share a header of types", function()
    assert_taken {
      ["csrc/common/text.h"] = '#include "common/list.h"\nstruct uk_list_size {\n  int size;\n};\n'
        .. "int uk_text_size(void);\n",
      ["csrc/common/list.c"] = '#include "common/list.h"\n\n#include "common/text.h"\n\n'
        .. "/* Calls no uk_text_size. */\n"
        .. 'int uk_list_size(const struct uk_list *list)\n{\n  return list && "uk_text_size"[0];\n}\n',
      ["csrc/common/text.c"] = '#include "common/text.h"\n\n'
        .. "int uk_text_size(void)\n{\n  return sizeof(struct uk_list_size);\n}\n",
    }
  end)

  it("refuses entries of its lists that no longer hold", function()
    assert_refused("csrc/common/list.h knows nothing of client any more: take it off the list\n"
      .. "csrc: no longer a circle, take it off the list: common/list common/text\n", nil, {
        upward = '{ from = "common/list.h", to = "client", reason = "" }',
        circles = '{ folder = "common/", nouns = "text list", reason = "" }',
      })
  end)

  it("refuses a room without directions, and finds one below another", function()
    local log = { ["csrc/server/log/log.h"] = '#include "common/list.h"\n' }
    assert_taken(log)
    assert_refused("csrc/server/disk/disk.h:1: a room that has no directions\n",
      { ["csrc/server/disk/disk.h"] = "int uk_disk(void);\n" })
    log["csrc/server/log/log.h"] = '#include "server/start.h"\n'
    assert_refused('csrc/server/log/log.h:1: includes "server/start.h", upwards: server/log may not know server\n', log)
  end)

  it("refuses an upward include between the rooms of the Kafka engine", function()
    local root, faults = folder.make(), {}
    folder.write(root .. "/rules.lua", 'local rules = dofile ".ci/map/rules.lua"\n'
      .. "rules.c.upward, rules.c.circles, rules.lua = {}, {}, nil\nreturn rules\n")
    for _, from in ipairs { "cluster", "fetch", "group", "produce", "rd" } do
      local path, includes = root .. "/csrc/server/kafka_engine/" .. from, {}
      for _, to in ipairs { "cluster", "fetch", "group", "produce", "rd" } do
        includes[#includes + 1] = ('#include "server/kafka_engine/%s/it.h"\n'):format(to)
      end
      os.execute("mkdir -p '" .. path .. "'")
      folder.write(path .. "/it.h", table.concat(includes))
    end
    local status, out = shell.run(("lua5.4 .ci/map.lua check '%s' '%s/rules.lua'"):format(root, root))
    folder.remove(root)
    for from, to in out:gmatch 'kafka_engine/(%w+)/it.h:%d+: includes "server/kafka_engine/(%w+)/it.h", upwards' do
      faults[from] = (faults[from] and faults[from] .. " " or "") .. to
    end
    assert.equal(1, status)
    assert.same({
      cluster = "fetch group produce",
      fetch = "group produce",
      group = "fetch produce",
      produce = "fetch group",
      rd = "cluster fetch group produce",
    }, faults)
  end)

  it("refuses includes of missing files, and libraries that enter through another door", function()
    assert_refused([[
csrc/common/list.h:1: include "text.h" is not relative to csrc
csrc/common/list.h:2: there is no "common/none.h"
csrc/common/list.h:3: <zlib.h> enters through another door: ^common/gzip%.c$
csrc/common/list.h:4: <windows.h> is neither libc nor a library of this project
csrc/common/list.h:5: an include that names no file
]], { ["csrc/common/list.h"] = '#include "text.h"\n#include "common/none.h"\n#include <zlib.h>\n'
      .. "#include <windows.h>\n#include HEADER\n" })
  end)

  it("refuses an upward module and circles of modules", function()
    assert_refused('lua/init.lua:1: names the module "upstash.kafka.high", upwards: rest may not know high\n'
      .. "lua: a circle between rooms: high, rest\n", { ["lua/init.lua"] = 'return require("upstash.kafka.high")\n' })
    assert_refused("lua: a circle that stands on no list: a b\n", {
      ["lua/a.lua"] = '-- require "upstash.kafka"\nlocal name = "upstash.kafka.b"\n'
        .. "return function() require(name) end\n",
      ["lua/b.lua"] = "return require 'upstash.kafka.a'\n",
    })
  end)

  it("prints sizes, arrows and the smallest change that opens a circle", function()
    local status, out = run("", {
      ["csrc/common/list.h"] = FILES["csrc/common/list.h"] .. "int uk_list_more(void);\n",
      ["csrc/common/list.c"] = CIRCLE["csrc/common/list.c"] .. "\nint uk_list_more(void)\n{\n  return 0;\n}\n",
      ["csrc/common/text.c"] = '#include "common/text.h"\n\n#include "common/list.h"\n\n'
        .. "int uk_text_size(void)\n{\n  return uk_list_size(0) +\n         uk_list_more();\n}\n",
    })
    assert.equal(0, status)
    for _, line in ipairs {
      "client                     2      9       1      4    4    4        0       1",
      "common                     4     27       3      4    5    5        2       0",
      "    5  csrc/common/text.c:5  uk_text_size",
      "    3  lua/high/init.lua:1  f",
      "arrows between rooms: 2",
      "  client                 -> common (1)",
      "arrows upwards: 0",
      "circles between rooms: 0",
      "circles inside rooms: 1",
      "  common, 2 nouns, on no list",
      "    text > list; against this order:",
      "      list -> text: uk_text_size",
    } do
      assert.truthy(("\n" .. out):find("\n" .. line .. "\n", 1, true), line .. "\n" .. out)
    end
  end)
end)
