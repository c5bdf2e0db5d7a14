/* server_properties: the options `properties` and `property_files` of server.start, two maps from
 * names of librdkafka's properties to texts, as the list that the server takes. */
#ifndef UK_SERVER_PROPERTIES_H
#define UK_SERVER_PROPERTIES_H

#include "binding/options.h"
#include "server/server.h"

/* Where the maps are on the stack; each is a table, or nil for none. */
struct uk_lua_property_slots {
  int values, files;
};

/* Pushes the userdata that holds the list, which `options` refers to from then on, sorted by name:
 * the same maps give the same list. Names and values stay the maps' own. Raises for what is no
 * text, naming the property and never showing a value, and for a property that is in both maps.
 * Which names there are, and how many may be given, is the server's to check. */
void uk_lua_server_read_properties(lua_State *L, struct uk_lua_property_slots slots,
                                   struct uk_server_options *options,
                                   const struct uk_lua_blame *blame);

#endif
