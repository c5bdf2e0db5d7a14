/* signals_lua: the userdata of core.watch_signals, for loops that a signal ends. */
#ifndef UK_SIGNALS_LUA_H
#define UK_SIGNALS_LUA_H

#include "binding/compat.h"

/* Creates the type, once for each Lua state. */
void uk_lua_signals_register(lua_State *L);

/* core.watch_signals(names) */
int uk_lua_watch_signals(lua_State *L);

#endif
