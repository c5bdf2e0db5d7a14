/* number_lua: the one place where a Lua number becomes text and a JSON number a Lua number.
 *
 * Integers are exact: of 64 bits on Lua 5.3 and later, up to 2^53 elsewhere. Floats read back the
 * same. What cannot be either is refused, never replaced by a neighbour. */
#ifndef UK_NUMBER_LUA_H
#define UK_NUMBER_LUA_H

#include "binding/compat.h"
#include "common/decimal.h"
#include "common/json_reader.h"

/* Writes the number at `index` as JSON, ended by a NUL, and returns its length. Returns 0 for what
 * JSON does not have; the text is then its name: NaN, inf or -inf. */
size_t uk_lua_number_text(lua_State *L, int index, char text[UK_DECIMAL_SIZE]);

/* Pushes the number that the event UK_JSON_INTEGER or UK_JSON_NUMBER carries. False, with nothing
 * pushed, when it does not fit this Lua's numbers. */
bool uk_lua_push_json_number(lua_State *L, const struct uk_json_reader *json,
                             enum uk_json_event event);

/* Of this Lua's numbers, behind "does not fit this Lua's numbers". */
#if LUA_VERSION_NUM >= 503
#define UK_LUA_NUMBERS "(integers of 64 bits, floats to 1.8e308)"
#else
#define UK_LUA_NUMBERS "(exact to 2^53)"
#endif

#endif
