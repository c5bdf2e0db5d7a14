/* json_lua: turns any JSON value into a Lua value, for responses without a fixed shape and for
 * message values. */
#ifndef UK_JSON_LUA_H
#define UK_JSON_LUA_H

#include "binding/compat.h"
#include "client/response.h"

/* How JSON becomes Lua. */
struct uk_lua_json_target {
  lua_State *L;
  struct uk_json_reader *json;
  bool nulls;      /* null becomes the light userdata NULL, else nil: an absent field or a hole */
  int array_mt;    /* stack index of the metatable for arrays; 0 = none */
  char misfit[48]; /* the number that does not fit; "" = another failure */
};

/* Pushes the value that `event` opens. Returns false, with values left on the stack, if the JSON is
 * malformed or a number does not fit this Lua's numbers. */
bool uk_lua_json_push(struct uk_lua_json_target *target, enum uk_json_event event);

/* The same for a response: null becomes nil, and a failure sets the reader's error. */
bool uk_lua_push_response_json(lua_State *L, struct uk_response_reader *reader,
                               enum uk_json_event event);

/* Pushes the integer. Returns false, with INTEGER_RANGE set and the integer named, if this Lua's
 * numbers cannot hold it. */
bool uk_lua_push_response_integer(lua_State *L, struct uk_response_reader *reader, int64_t value);

#endif
