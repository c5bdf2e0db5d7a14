/* client: the userdata that Lua programs hold: settings, a transport and the calls. */
#ifndef UK_CLIENT_H
#define UK_CLIENT_H

#include "binding/compat.h"

/* Makes the type, once for each state, and pushes its table of methods. */
void uk_client_register(lua_State *L);

/* core.new(options) */
int uk_client_new(lua_State *L);

/* core.retry_delay(attempt, details [, options]) */
int uk_client_retry_delay(lua_State *L);

#endif
