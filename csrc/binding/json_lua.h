/* json_lua: any JSON value as a Lua value: answers without a fixed shape, and values of messages. */
#ifndef UK_JSON_LUA_H
#define UK_JSON_LUA_H

#include "binding/compat.h"
#include "client/response.h"

/* How JSON becomes Lua. */
struct uk_lua_json_target {
  lua_State *L;
  struct uk_json_reader *json;
  bool nulls;   /* null is the light userdata NULL; else nil: an absent field, a hole in a list */
  int array_mt; /* stack index of the metatable that arrays get; 0 = none */
  char misfit[48]; /* the number at which it ended because it does not fit; "" = another reason */
};

/* Pushes the value that `event` opened. False, with something on the stack, when the JSON is
 * malformed or a number does not fit this Lua's. */
bool uk_lua_json_push(struct uk_lua_json_target *target, enum uk_json_event event);

/* The same for a response: null is nil. False with the reader's error set. */
bool uk_lua_push_response_json(lua_State *L, struct uk_response_reader *reader,
                               enum uk_json_event event);

/* Pushes the integer; false with INTEGER_RANGE set, naming it, when this Lua cannot hold it. */
bool uk_lua_push_response_integer(lua_State *L, struct uk_response_reader *reader, int64_t value);

#endif
