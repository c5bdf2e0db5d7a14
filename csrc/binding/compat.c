#include "binding/compat.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void uk_lua_setfuncs(lua_State *L, const luaL_Reg *functions)
{
  for (; functions->name != NULL; functions++) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

void uk_lua_set_companion(lua_State *L, int index)
{
#if LUA_VERSION_NUM < 502
  lua_setfenv(L, index);
#else
  lua_setuservalue(L, index);
#endif
}

void uk_lua_get_companion(lua_State *L, int index)
{
#if LUA_VERSION_NUM < 502
  lua_getfenv(L, index);
#else
  lua_getuservalue(L, index);
#endif
}

size_t uk_lua_rawlen(lua_State *L, int index)
{
#if LUA_VERSION_NUM < 502
  return lua_objlen(L, index);
#else
  return (size_t)lua_rawlen(L, index);
#endif
}

int uk_lua_absindex(lua_State *L, int index)
{
  return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

void uk_lua_newtype(lua_State *L, const char *type, const luaL_Reg *metamethods)
{
  luaL_newmetatable(L, type);
  uk_lua_setfuncs(L, metamethods);
  lua_pushstring(L, type);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "protected");
  lua_setfield(L, -2, "__metatable");
  lua_insert(L, -2);
  lua_setfield(L, -2, "__index");
}

enum uk_lua_integer_read uk_lua_read_integer(lua_State *L, int index, int64_t *value)
{
  if (lua_type(L, index) != LUA_TNUMBER)
    return UK_INTEGER_NOT_A_NUMBER;
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, index)) {
    *value = (int64_t)lua_tointeger(L, index);
    return UK_INTEGER_OK;
  }
#endif
  double number = (double)lua_tonumber(L, index);
  if (!isfinite(number) || floor(number) != number)
    return UK_INTEGER_FRACTION;
  if (fabs(number) > (double)UK_EXACT_MAX)
    return UK_INTEGER_INEXACT;
  *value = (int64_t)number;
  return UK_INTEGER_OK;
}

bool uk_lua_push_integer(lua_State *L, int64_t value)
{
#if LUA_VERSION_NUM >= 503
  if (sizeof(lua_Integer) >= sizeof(int64_t)) {
    lua_pushinteger(L, (lua_Integer)value);
    return true;
  }
#endif
  if (value > UK_EXACT_MAX || value < -UK_EXACT_MAX)
    return false;
  lua_pushnumber(L, (lua_Number)value);
  return true;
}

void uk_lua_push_exact(lua_State *L, int64_t value)
{
  char digits[24];
  if (uk_lua_push_integer(L, value))
    return;
  snprintf(digits, sizeof digits, "%" PRId64, value);
  lua_pushstring(L, digits);
}
