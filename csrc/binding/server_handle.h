/* server_handle: the userdata of a running server, with url, reload and stop. It stops when it is
 * collected. */
#ifndef UK_SERVER_HANDLE_H
#define UK_SERVER_HANDLE_H

#include "binding/compat.h"

struct uk_server;

/* server.start(options) -> handle | nil, message, details. */
int uk_lua_server_start(lua_State *L);

/* Pushes a table with the default of each option. */
void uk_lua_server_push_defaults(lua_State *L);

/* The server of the handle at this index. Raises if it is no handle, or of a server that was
 * stopped. */
struct uk_server *uk_lua_server_of(lua_State *L, int index);

/* Creates the type. May run several times in one Lua state. */
void uk_lua_server_register_handle(lua_State *L);

#endif
