/* server_origins: the option `cors_origin` of server.start, a text or a list of texts, as the array
 * that the server takes. */
#ifndef UK_SERVER_ORIGINS_H
#define UK_SERVER_ORIGINS_H

#include "binding/options.h"
#include "server/server.h"

/* Pushes the userdata that holds the array, which `options` refers to from then on. The value at
 * `index` is nil, a string or a list, and keeps the texts. Raises for anything else, naming the
 * place. What an origin is, and how many there may be, is the server's to check. */
void uk_lua_server_read_origins(lua_State *L, int index, struct uk_server_options *options,
                                const struct uk_lua_blame *blame);

#endif
