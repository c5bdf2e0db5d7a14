/* The HTTP responses that the transport in nginx reads, which is Lua: nginx/answer.lua runs in an
 * interpreter of its own. Each step from one of its lines to another counts as a branch, so that
 * libFuzzer finds new paths through it.
 *
 * The bytes are read at once and in small pieces; both must come to the same. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "fuzz.h"

enum { LIMIT = 1000, STEPS = 1 << 12 };

/* libFuzzer looks for counters in this section. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t steps[STEPS];

static lua_State *lua;

static void count_step(lua_State *L, lua_Debug *about)
{
  static int last;
  (void)L;
  steps[(unsigned)(last * 64 + about->currentline) % STEPS]++;
  last = about->currentline;
}

static const char program[] =
  "package.path = 'lua/?.lua'\n"
  "local answer = require 'upstash.kafka.nginx.answer'\n"
  "local CODES = { connection_lost = true, bad_response = true, response_too_large = true }\n"
  "local function read(bytes, size, limit)\n"
  "  local at = 1\n"
  "  local reader = answer.reader(function()\n"
  "    if at > #bytes then return nil, 'connection_lost' end\n"
  "    at = at + size\n"
  "    return bytes:sub(at - size, at - 1)\n"
  "  end)\n"
  "  local status, headers, body, reusable = answer.read(reader, limit)\n"
  "  if not status then\n"
  "    assert(CODES[headers], headers)\n"
  "    assert(not reusable or #reusable <= 1024 and #reusable <= limit, 'the beginning')\n"
  "    return headers\n"
  "  end\n"
  "  assert(status >= 200 and status <= 999 and #body <= limit, 'status or body')\n"
  "  for name, value in pairs(headers) do\n"
  "    assert(name == name:lower() and not value:find '\\n', 'a header')\n"
  "  end\n"
  "  return status .. body\n"
  "end\n"
  "return function(bytes, size, limit)\n"
  "  local once = read(bytes, math.max(1, #bytes), limit)\n"
  "  assert(once == read(bytes, size, limit), 'pieces change the response')\n"
  "end\n";

static void open_lua(void)
{
  lua = luaL_newstate();
  FUZZ_REQUIRE(lua != NULL);
  luaL_openlibs(lua);
  if (luaL_dostring(lua, program) != 0) {
    fprintf(stderr, "%s\n", lua_tostring(lua, -1));
    abort();
  }
  lua_sethook(lua, count_step, LUA_MASKLINE, 0);
}

/* Byte 0 is the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (lua == NULL)
    open_lua();
  const unsigned piece = fuzz_take_byte(&data, &size) % 16 + 1;
  lua_pushvalue(lua, -1);
  lua_pushlstring(lua, (const char *)data, size);
  lua_pushinteger(lua, piece);
  lua_pushinteger(lua, LIMIT);
  if (lua_pcall(lua, 3, 0, 0) != 0) {
    fprintf(stderr, "%s\n", lua_tostring(lua, -1));
    abort();
  }
  lua_gc(lua, LUA_GCCOLLECT, 0); /* or libFuzzer looks for leaks each time */
  return 0;
}
