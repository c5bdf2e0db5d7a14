#include "binding/server_texts.h"

#include <stdio.h>
#include <string.h>

enum { FIELD_SIZE = 48 };

/* Returns the text on top of the stack, element `place` of the list; 0 = the option itself. */
static const char *read_text(lua_State *L, const char *name, size_t place,
                             const struct uk_lua_blame *blame)
{
  char field[FIELD_SIZE];
  size_t length;
  if (place > 0)
    snprintf(field, sizeof field, "%s[%zu]", name, place);
  else
    snprintf(field, sizeof field, "%s", name);
  if (lua_type(L, -1) != LUA_TSTRING)
    uk_lua_misuse_type(L, blame, field, place > 0 ? "string" : "string or list", -1);
  const char *text = lua_tolstring(L, -1, &length);
  if (memchr(text, '\0', length) != NULL)
    uk_lua_misuse(L, blame, field, "string without NUL bytes expected");
  return text;
}

static void read_list(lua_State *L, int index, const char **texts, size_t count, const char *field,
                      const struct uk_lua_blame *blame)
{
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, index, (int)i + 1);
    texts[i] = read_text(L, field, i + 1, blame);
    lua_pop(L, 1);
  }
}

struct uk_lua_texts uk_lua_server_read_texts(lua_State *L, int index, const char *field,
                                             const char *one, const struct uk_lua_blame *blame)
{
  luaL_checkstack(L, 3, NULL);
  bool is_list = lua_type(L, index) == LUA_TTABLE;
  size_t count = is_list ? uk_lua_rawlen(L, index) : !lua_isnil(L, index);
  const char **texts = lua_newuserdata(L, count * sizeof *texts + 1);
  if (is_list && count == 0)
    uk_lua_misuse(L, blame, field, "%s expected, got an empty list", one);
  if (is_list) {
    read_list(L, index, texts, count, field, blame);
  } else if (count > 0) {
    lua_pushvalue(L, index);
    texts[0] = read_text(L, field, 0, blame);
    lua_pop(L, 1);
  }
  return (struct uk_lua_texts){texts, count};
}
