/* for: clock_lua.c
 *
 * nanosleep is this program's, so that no test waits. */
#include <lauxlib.h>
#include <lua.h>
#include <time.h>
#include <unistd.h>

#include "binding/clock_lua.h"
#include "check.h"
#include "common/clock.h"

static struct timespec slept;
static int sleeps;

__attribute__((visibility("default"))) int nanosleep(const struct timespec *wait,
                                                     struct timespec *left)
{
  (void)left;
  slept = *wait;
  sleeps++;
  return 0;
}

/* Calls the function with the number. Returns its status, and the result or error in the stack slot
 * 1. */
static int call(lua_State *L, const char *name, lua_Number argument)
{
  const luaL_Reg *each = uk_lua_clock_functions;
  while (each->name != NULL && strcmp(each->name, name) != 0)
    each++;
  lua_settop(L, 0);
  lua_pushcfunction(L, each->func);
  lua_pushnumber(L, argument);
  return lua_pcall(L, 1, 1, 0);
}

static void sleeps_for_milliseconds(void)
{
  static const struct {
    lua_Number milliseconds;
    long seconds, nanoseconds;
  } rows[] = {{0, 0, 0},    {1, 0, 1000000},      {0.5, 0, 500000},        {999, 0, 999000000},
              {1000, 1, 0}, {61001, 61, 1000000}, {1500.25, 1, 500250000}, {86400000, 86400, 0}};
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_EQ_INT(call(L, "sleep", rows[i].milliseconds), 0);
    CHECK_EQ_INT(slept.tv_sec, rows[i].seconds);
    CHECK_EQ_INT(slept.tv_nsec, rows[i].nanoseconds);
    CHECK_EQ_INT(sleeps, i + 1);
  }
  lua_close(L);
}

static void refuses_a_sleep_of_more_than_a_day(void)
{
  static const lua_Number wrong[] = {-1, -0.001, 86400000.5};
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  sleeps = 0;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    CHECK(call(L, "sleep", wrong[i]) != 0);
    CHECK(strstr(lua_tostring(L, 1), "0 to 86400000 milliseconds expected") != NULL);
  }
  CHECK_EQ_INT(sleeps, 0);
  lua_close(L);
}

static void tells_the_time_and_the_process(void)
{
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  const int64_t before = uk_clock_monotonic();
  CHECK_EQ_INT(call(L, "now", 0), 0);
  const int64_t now = (int64_t)lua_tonumber(L, 1), after = uk_clock_monotonic();
  CHECK(before <= now && now <= after);
  CHECK_EQ_INT(call(L, "process_id", 0), 0);
  CHECK_EQ_INT(lua_tointeger(L, 1), getpid());
  lua_close(L);
}

int main(void)
{
  CHECK_RUN(sleeps_for_milliseconds);
  CHECK_RUN(refuses_a_sleep_of_more_than_a_day);
  CHECK_RUN(tells_the_time_and_the_process);
  return check_end();
}
