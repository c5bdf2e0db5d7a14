/* server_origins: turns the option `cors_origin` of server.start, a string or a list of strings,
 * into the server's array. */
#ifndef UK_SERVER_ORIGINS_H
#define UK_SERVER_ORIGINS_H

#include "binding/options.h"
#include "server/server.h"

/* Pushes a userdata that holds the array and sets `options` to it. The value at `index` is nil, a
 * string or a list, and owns the strings. Raises for anything else and names the element. The
 * server checks what an origin is and how many there may be. */
void uk_lua_server_read_origins(lua_State *L, int index, struct uk_server_options *options,
                                const struct uk_lua_blame *blame);

#endif
