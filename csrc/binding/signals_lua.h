/* signals_lua: the userdata of core.watch_signals, for loops that a signal ends. */
#ifndef UK_SIGNALS_LUA_H
#define UK_SIGNALS_LUA_H

#include "binding/compat.h"

/* Creates the type, once for each Lua state. */
void uk_lua_signals_register(lua_State *L);

/* core.watch_signals(names) */
int uk_lua_watch_signals(lua_State *L);

/* The set (signals.h) of the watch that is this argument; 0 for a closed one. Raises an error if
 * the argument is no watch. */
unsigned uk_lua_to_signals(lua_State *L, int argument);

#endif
