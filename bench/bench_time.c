/* bench_time.seconds() -> monotonic seconds, for Lua. */
#include <lauxlib.h>
#include <lua.h>
#include <time.h>

static int seconds(lua_State *L)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
  return 1;
}

int luaopen_bench_time(lua_State *L);
__attribute__((visibility("default"))) int luaopen_bench_time(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, seconds);
  lua_setfield(L, -2, "seconds");
  return 1;
}
