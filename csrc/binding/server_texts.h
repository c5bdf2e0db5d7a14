/* server_texts: turns an option of server.start that is a string or a list of strings into an
 * array. */
#ifndef UK_SERVER_TEXTS_H
#define UK_SERVER_TEXTS_H

#include "binding/options.h"

struct uk_lua_texts {
  const char *const *texts;
  size_t count;
};

/* Pushes a userdata that holds the array. The value at `index` is nil, a string or a list, and owns
 * the strings. Raises for anything else and names the element of `field`; for an empty list says
 * that `one`, such as "an origin", is expected. The server checks what a text may be, and how many
 * there may be. */
struct uk_lua_texts uk_lua_server_read_texts(lua_State *L, int index, const char *field,
                                             const char *one, const struct uk_lua_blame *blame);

#endif
