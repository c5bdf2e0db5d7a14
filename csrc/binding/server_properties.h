/* server_properties: turns the options `properties` and `property_files` of server.start, maps from
 * names of librdkafka's properties to strings, into the server's list. */
#ifndef UK_SERVER_PROPERTIES_H
#define UK_SERVER_PROPERTIES_H

#include "binding/options.h"
#include "server/server.h"

/* Stack indices of the maps; each is a table or nil. */
struct uk_lua_property_slots {
  int values, files;
};

/* Pushes a userdata that holds the list and sets `options` to it. The list is sorted by name, so
 * that the same maps give the same list. The maps own names and values. Raises for a value that is
 * not text and for a property in both maps; the error names the property and never shows a value.
 * The server checks which properties exist and how many may be given. */
void uk_lua_server_read_properties(lua_State *L, struct uk_lua_property_slots slots,
                                   struct uk_server_options *options,
                                   const struct uk_lua_blame *blame);

#endif
