/* server_handle: a running server as a Lua value: url, stop, and a stop when it is collected. */
#ifndef UK_SERVER_HANDLE_H
#define UK_SERVER_HANDLE_H

#include "binding/compat.h"

/* server.start(options) -> handle | nil, message, details. */
int uk_lua_server_start(lua_State *L);

/* Pushes the table of every option's default. */
void uk_lua_server_push_defaults(lua_State *L);

/* Makes the type. Once or more often for each state. */
void uk_lua_server_register_handle(lua_State *L);

#endif
