/* json_lua: any JSON value as a Lua value, for answers without a fixed shape. */
#ifndef UK_JSON_LUA_H
#define UK_JSON_LUA_H

#include "binding/compat.h"
#include "client/response.h"

/* Pushes the value that `event` opened. null is nil: an absent field, a hole in a list. False, with
 * the reader's error set and something on the stack, when the JSON is malformed or an integer
 * does not fit. */
bool uk_push_json(lua_State *L, struct uk_response_reader *reader, enum uk_json_event event);

/* Pushes the integer; false with INTEGER_RANGE set, naming it, when this Lua cannot hold it. */
bool uk_push_response_integer(lua_State *L, struct uk_response_reader *reader, int64_t value);

#endif
