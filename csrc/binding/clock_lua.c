#include "binding/clock_lua.h"

#include <time.h>
#include <unistd.h>

#include "common/clock.h"

static int now(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)uk_clock_monotonic());
  return 1;
}

static int sleep_for(lua_State *L)
{
  lua_Number milliseconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, milliseconds >= 0 && milliseconds <= 86400000, 1,
                "0 to 86400000 milliseconds expected");
  time_t seconds = (time_t)(milliseconds / 1000);
  long nanoseconds = (long)((milliseconds - (lua_Number)seconds * 1000) * 1000000);
  const struct timespec wait = {.tv_sec = seconds, .tv_nsec = nanoseconds};
  nanosleep(&wait, NULL);
  return 0;
}

static int process_id(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)getpid());
  return 1;
}

const luaL_Reg uk_lua_clock_functions[] = {
  {"now", now}, {"sleep", sleep_for}, {"process_id", process_id}, {NULL, NULL}};
