/* number_lua: turns Lua numbers into text and JSON numbers into Lua numbers; nothing else does.
 *
 * Integers are exact: 64 bits on Lua 5.3 and later, up to 2^53 elsewhere. Floats read back the
 * same. A number that fits neither is refused, never rounded. */
#ifndef UK_NUMBER_LUA_H
#define UK_NUMBER_LUA_H

#include "binding/compat.h"
#include "common/decimal.h"
#include "common/json_reader.h"

/* Writes the number at `index` as JSON with a terminating NUL and returns its length. For a number
 * that JSON lacks it writes the name (NaN, inf or -inf) and returns 0. */
size_t uk_lua_number_text(lua_State *L, int index, char text[UK_DECIMAL_SIZE]);

/* Pushes the number of a UK_JSON_INTEGER or UK_JSON_NUMBER event. Returns false and pushes nothing
 * if it does not fit this Lua's numbers. */
bool uk_lua_push_json_number(lua_State *L, const struct uk_json_reader *json,
                             enum uk_json_event event);

/* The end of messages that say "does not fit this Lua's numbers". */
#if LUA_VERSION_NUM >= 503
#define UK_LUA_NUMBERS "(integers of 64 bits, floats to 1.8e308)"
#else
#define UK_LUA_NUMBERS "(exact to 2^53)"
#endif

#endif
