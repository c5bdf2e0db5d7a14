/* producer: the userdata of client:producer: options of its own and the client's settings, and a
 * reference to the process's sender of these from the first send on. */
#ifndef UK_PRODUCER_H
#define UK_PRODUCER_H

#include "binding/compat.h"

/* Makes the type, once for each state, and pushes its table of methods. */
void uk_lua_producer_register(lua_State *L);

/* client:producer(options) */
int uk_lua_producer_new(lua_State *L);

/* core.close_producers(timeout) */
int uk_lua_close_producers(lua_State *L);

#endif
