#include "binding/json_lua.h"

#include <inttypes.h>

bool uk_push_response_integer(lua_State *L, struct uk_response_reader *reader, int64_t value)
{
  if (uk_lua_push_integer(L, value))
    return true;
  uk_response_fail(reader, UK_E_INTEGER_RANGE,
                   "%" PRId64 " in the response does not fit this Lua's numbers (exact to 2^53)",
                   value);
  return false;
}

static bool push_array(lua_State *L, struct uk_response_reader *reader)
{
  lua_newtable(L);
  enum uk_json_event event;
  for (int i = 1; (event = uk_json_next(&reader->json)) != UK_JSON_ARRAY_END; i++) {
    if (!uk_push_json(L, reader, event))
      return false;
    lua_rawseti(L, -2, i);
  }
  return true;
}

static bool push_object(lua_State *L, struct uk_response_reader *reader)
{
  lua_newtable(L);
  while (uk_json_next(&reader->json) == UK_JSON_KEY) {
    struct uk_slice key = reader->json.string;
    lua_pushlstring(L, key.data, key.length);
    if (!uk_push_json(L, reader, uk_json_next(&reader->json)))
      return false;
    lua_rawset(L, -3);
  }
  return reader->json.error == UK_JSON_E_NONE;
}

bool uk_push_json(lua_State *L, struct uk_response_reader *reader, enum uk_json_event event)
{
  const struct uk_json_reader *json = &reader->json;
  luaL_checkstack(L, 4, NULL);
  switch (event) {
  case UK_JSON_OBJECT:
    if (push_object(L, reader))
      return true;
    break;
  case UK_JSON_ARRAY:
    if (push_array(L, reader))
      return true;
    break;
  case UK_JSON_STRING: lua_pushlstring(L, json->string.data, json->string.length); return true;
  case UK_JSON_INTEGER: return uk_push_response_integer(L, reader, json->integer);
  case UK_JSON_NUMBER: lua_pushnumber(L, (lua_Number)json->number); return true;
  case UK_JSON_TRUE: lua_pushboolean(L, 1); return true;
  case UK_JSON_FALSE: lua_pushboolean(L, 0); return true;
  case UK_JSON_NULL: lua_pushnil(L); return true;
  default: break;
  }
  uk_response_fail_json(reader);
  return false;
}
