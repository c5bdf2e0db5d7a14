/* producer: the userdata that client:producer returns: its options, the client's settings, and from
 * the first send a reference to this process's sender for them. */
#ifndef UK_PRODUCER_H
#define UK_PRODUCER_H

#include "binding/compat.h"

/* Creates the type, once for each Lua state, and pushes its table of methods. */
void uk_lua_producer_register(lua_State *L);

/* client:producer(options) */
int uk_lua_producer_new(lua_State *L);

/* core.close_producers(timeout) */
int uk_lua_close_producers(lua_State *L);

#endif
