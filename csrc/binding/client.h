/* client: the userdata that Lua programs hold: settings and a transport. perform.h adds the calls
 * to its methods, producer.h the method that creates producers. */
#ifndef UK_CLIENT_H
#define UK_CLIENT_H

#include "binding/compat.h"
#include "client/idempotency_key.h"
#include "client/settings.h"
#include "client/transport.h"

struct uk_lua_client {
  struct uk_transport *transport; /* NULL = closed; the settings are then empty */
  struct uk_settings settings;
  unsigned signals; /* that end a call under way (client/signals.h) */
  struct uk_key_source keys;
};

/* Creates the type, once for each Lua state, and pushes its methods: settings and close. */
void uk_lua_client_register(lua_State *L);

/* core.new(options) */
int uk_lua_client_new(lua_State *L);

/* Returns the client at the stack index, open or closed. Raises if there is none. */
struct uk_lua_client *uk_lua_to_client(lua_State *L, int index);

/* Returns the client at stack index 1. Raises if there is none or if it is closed. */
struct uk_lua_client *uk_lua_check_client(lua_State *L);

#endif
