/* compat: one name for what Lua 5.1, LuaJIT, 5.3 and 5.4 name differently, and integers that are
 * exact on all of them. */
#ifndef UK_COMPAT_H
#define UK_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/decimal.h"

#define UK_EXPORT __attribute__((visibility("default")))

/* Adds `functions` to the table on top of the stack. */
void uk_lua_setfuncs(lua_State *L, const luaL_Reg *functions);

/* The companion table of the userdata at `index`: set pops it, get pushes it. */
void uk_lua_set_companion(lua_State *L, int index);
void uk_lua_get_companion(lua_State *L, int index);

size_t uk_lua_rawlen(lua_State *L, int index);
int uk_lua_absindex(lua_State *L, int index);

/* A light userdata NULL: cjson.null, ngx.null and core.null. */
static inline bool uk_lua_isnull(lua_State *L, int index)
{
  return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL;
}

/* Pops the table of methods and pushes the new metatable `type`, which has __name, __index =
 * methods, __metatable = "protected" and the given metamethods. Call it once for each Lua state. */
void uk_lua_newtype(lua_State *L, const char *type, const luaL_Reg *metamethods);

enum uk_lua_integer_read {
  UK_INTEGER_OK,
  UK_INTEGER_NOT_A_NUMBER, /* another type, numeric strings included */
  UK_INTEGER_FRACTION,     /* 1.5, NaN, infinity */
  UK_INTEGER_INEXACT       /* a float past UK_EXACT_MAX */
};

/* Accepts integral floats (5.0). */
enum uk_lua_integer_read uk_lua_read_integer(lua_State *L, int index, int64_t *value);

/* Returns false and pushes nothing if this Lua's numbers cannot hold the value exactly. */
bool uk_lua_push_integer(lua_State *L, int64_t value);

/* Pushes the value, or its digits as a string if this Lua's numbers cannot hold it exactly. */
void uk_lua_push_exact(lua_State *L, int64_t value);

#endif
