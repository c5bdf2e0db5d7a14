/* clock_lua: what loops in Lua need of the system: a clock for deadlines, a sleep, the process. */
#ifndef UK_CLOCK_LUA_H
#define UK_CLOCK_LUA_H

#include "binding/compat.h"

/* now() -> milliseconds of a clock that only goes forward, a float; sleep(milliseconds) -> nothing;
 * process_id() -> integer. A signal ends a sleep early, so that an interrupt is not held up. */
extern const luaL_Reg uk_lua_clock_functions[];

#endif
