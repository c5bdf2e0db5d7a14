#include "binding/json_lua.h"

#include <inttypes.h>
#include <stdio.h>

#include "binding/number_lua.h"

bool uk_lua_push_response_integer(lua_State *L, struct uk_response_reader *reader, int64_t value)
{
  if (uk_lua_push_integer(L, value))
    return true;
  uk_response_fail(reader, UK_E_INTEGER_RANGE,
                   "%" PRId64 " in the response does not fit this Lua's numbers " UK_LUA_NUMBERS,
                   value);
  return false;
}

static bool push_number(struct uk_lua_json_target *target, enum uk_json_event event)
{
  const struct uk_json_reader *json = target->json;
  if (uk_lua_push_json_number(target->L, json, event))
    return true;
  if (event == UK_JSON_INTEGER)
    snprintf(target->misfit, sizeof target->misfit, "%" PRId64, json->integer);
  else
    snprintf(target->misfit, sizeof target->misfit, "%.*s", (int)json->string.length,
             json->string.data);
  return false;
}

/* Makes room for a container, a key and a scalar. */
static void check_stack(lua_State *L)
{
  luaL_checkstack(L, 4, "JSON is nested too deep");
}

static bool push_array(struct uk_lua_json_target *target)
{
  lua_State *L = target->L;
  enum uk_json_event event;
  check_stack(L);
  lua_newtable(L);
  for (int i = 1; (event = uk_json_next(target->json)) != UK_JSON_ARRAY_END; i++) {
    if (!uk_lua_json_push(target, event))
      return false;
    lua_rawseti(L, -2, i);
  }
  if (target->array_mt != 0) {
    lua_pushvalue(L, target->array_mt);
    lua_setmetatable(L, -2);
  }
  return true;
}

static bool push_object(struct uk_lua_json_target *target)
{
  lua_State *L = target->L;
  check_stack(L);
  lua_newtable(L);
  while (uk_json_next(target->json) == UK_JSON_KEY) {
    struct uk_slice key = target->json->string;
    lua_pushlstring(L, key.data, key.length);
    if (!uk_lua_json_push(target, uk_json_next(target->json)))
      return false;
    lua_rawset(L, -3);
  }
  return target->json->error == UK_JSON_E_NONE;
}

static void push_null(const struct uk_lua_json_target *target)
{
  if (target->nulls)
    lua_pushlightuserdata(target->L, NULL);
  else
    lua_pushnil(target->L);
}

bool uk_lua_json_push(struct uk_lua_json_target *target, enum uk_json_event event)
{
  lua_State *L = target->L;
  const struct uk_json_reader *json = target->json;
  switch (event) {
  case UK_JSON_OBJECT: return push_object(target);
  case UK_JSON_ARRAY: return push_array(target);
  case UK_JSON_STRING: lua_pushlstring(L, json->string.data, json->string.length); break;
  case UK_JSON_INTEGER:
  case UK_JSON_NUMBER: return push_number(target, event);
  case UK_JSON_TRUE: lua_pushboolean(L, 1); break;
  case UK_JSON_FALSE: lua_pushboolean(L, 0); break;
  case UK_JSON_NULL: push_null(target); break;
  default: return false;
  }
  return true;
}

bool uk_lua_push_response_json(lua_State *L, struct uk_response_reader *reader,
                               enum uk_json_event event)
{
  struct uk_lua_json_target target = {.L = L, .json = &reader->json};
  if (uk_lua_json_push(&target, event))
    return true;
  if (target.misfit[0] != '\0')
    uk_response_fail(reader, UK_E_INTEGER_RANGE,
                     "%s in the response does not fit this Lua's numbers " UK_LUA_NUMBERS,
                     target.misfit);
  else
    uk_response_fail_json(reader);
  return false;
}
