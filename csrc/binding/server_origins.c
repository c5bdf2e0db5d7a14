#include "binding/server_origins.h"

#include <stdio.h>
#include <string.h>

enum { FIELD_SIZE = 48 };

/* Returns the text on top of the stack, element `place` of the list; 0 = the option itself. */
static const char *read_text(lua_State *L, size_t place, const struct uk_lua_blame *blame)
{
  char field[FIELD_SIZE] = "cors_origin";
  size_t length;
  if (place > 0)
    snprintf(field, sizeof field, "cors_origin[%zu]", place);
  if (lua_type(L, -1) != LUA_TSTRING)
    uk_lua_misuse_type(L, blame, field, place > 0 ? "string" : "string or list", -1);
  const char *text = lua_tolstring(L, -1, &length);
  if (memchr(text, '\0', length) != NULL)
    uk_lua_misuse(L, blame, field, "string without NUL bytes expected");
  return text;
}

static void read_list(lua_State *L, int index, const char **origins, size_t count,
                      const struct uk_lua_blame *blame)
{
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, index, (int)i + 1);
    origins[i] = read_text(L, i + 1, blame);
    lua_pop(L, 1);
  }
}

void uk_lua_server_read_origins(lua_State *L, int index, struct uk_server_options *options,
                                const struct uk_lua_blame *blame)
{
  luaL_checkstack(L, 3, NULL);
  bool is_list = lua_type(L, index) == LUA_TTABLE;
  size_t count = is_list ? uk_lua_rawlen(L, index) : !lua_isnil(L, index);
  const char **origins = lua_newuserdata(L, count * sizeof *origins + 1);
  if (is_list) {
    if (count == 0)
      uk_lua_misuse(L, blame, "cors_origin", "an origin expected, got an empty list");
    read_list(L, index, origins, count, blame);
  } else if (count > 0) {
    lua_pushvalue(L, index);
    origins[0] = read_text(L, 0, blame);
    lua_pop(L, 1);
  }
  options->cors_origins = origins;
  options->cors_origin_count = count;
}
