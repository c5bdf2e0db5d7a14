/* client: the userdata that Lua programs hold: settings and a transport. Its calls are methods that
 * perform.h adds, its producers one that producer.h has. */
#ifndef UK_CLIENT_H
#define UK_CLIENT_H

#include "binding/compat.h"
#include "client/settings.h"
#include "client/transport.h"

struct uk_lua_client {
  struct uk_transport *transport; /* NULL = closed, and the settings are empty */
  struct uk_settings settings;
};

/* Creates the type, once for each Lua state, and pushes its table of methods: settings and close. */
void uk_lua_client_register(lua_State *L);

/* core.new(options) */
int uk_lua_client_new(lua_State *L);

/* The client at stack index 1; raises when it is none or closed. */
struct uk_lua_client *uk_lua_check_client(lua_State *L);

#endif
