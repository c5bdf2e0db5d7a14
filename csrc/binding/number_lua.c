#include "binding/number_lua.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t name_of(double number, char text[UK_DECIMAL_SIZE])
{
  strcpy(text, isnan(number) ? "NaN" : number < 0 ? "-inf" : "inf");
  return 0;
}

size_t uk_lua_number_text(lua_State *L, int index, char text[UK_DECIMAL_SIZE])
{
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, index))
    return (size_t)snprintf(text, UK_DECIMAL_SIZE, "%" PRId64, (int64_t)lua_tointeger(L, index));
#endif
  const double number = (double)lua_tonumber(L, index);
  return isfinite(number) ? uk_decimal_text(text, number) : name_of(number, text);
}

/* For a UK_JSON_NUMBER: returns whether it is an integer that is too large for 64 bits. */
static bool is_large_integer(const struct uk_json_reader *json)
{
  const struct uk_slice text = json->string;
  for (size_t i = 0; i < text.length; i++)
    if (text.data[i] == '.' || (text.data[i] | 0x20) == 'e')
      return false;
  return json->number != 0; /* -0 */
}

bool uk_lua_push_json_number(lua_State *L, const struct uk_json_reader *json,
                             enum uk_json_event event)
{
  if (event == UK_JSON_INTEGER)
    return uk_lua_push_integer(L, json->integer);
  if (!isfinite(json->number) || is_large_integer(json))
    return false;
  lua_pushnumber(L, (lua_Number)json->number);
  return true;
}
