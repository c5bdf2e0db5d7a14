/* clock_lua: what loops in Lua need from the system: a clock for deadlines, sleep, a process id. */
#ifndef UK_CLOCK_LUA_H
#define UK_CLOCK_LUA_H

#include "binding/compat.h"

/* now() -> milliseconds of a monotonic clock, a float
 * sleep(milliseconds) -> nothing; a signal ends it early, so that an interrupt is not delayed
 * process_id() -> integer */
extern const luaL_Reg uk_lua_clock_functions[];

#endif
