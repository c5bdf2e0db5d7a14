/* clock_lua: the time that loops in Lua need: a clock for deadlines and a sleep. */
#ifndef UK_CLOCK_LUA_H
#define UK_CLOCK_LUA_H

#include "binding/compat.h"

/* now() -> milliseconds of a clock that only goes forward, a float; sleep(milliseconds) -> nothing. A signal
 * ends a sleep early, so that an interrupt is not held up. */
extern const luaL_Reg uk_clock_functions[];

#endif
