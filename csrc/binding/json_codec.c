#include "binding/json_codec.h"

#include "binding/call_memory.h"
#include "binding/json_encode.h"
#include "binding/json_lua.h"
#include "binding/number_lua.h"
#include "binding/options.h"

enum { JSON_BYTES_MAX = UK_REQUEST_BODY_MAX, SAFE_DEFAULT = 10, RATIO_DEFAULT = 2 };

/* Upvalues of both functions. TEXTS is a companion table; the text goes into the response buffer of
 * its call memory. CJSON keeps the values alive that the style points to. */
enum { TEXTS = 1, CJSON, STYLE, SPARSE, EMPTY, ENCODE_UPVALUES = EMPTY };
enum { ARRAY_MT = STYLE, MARKED = SPARSE, DECODE_UPVALUES = MARKED };

static struct uk_lua_call_memory *take_text(lua_State *L)
{
  struct uk_lua_call_memory *memory =
    uk_lua_call_memory_take(L, lua_upvalueindex(TEXTS), JSON_BYTES_MAX);
  uk_buffer_clear(&memory->response);
  return memory;
}

static void check_memory(lua_State *L, const struct uk_buffer *text)
{
  if (text->error == UK_E_NO_MEMORY)
    luaL_error(L, "%s", uk_error_text(text->error));
}

/* Encode. */

/* Calls the setting in that upvalue, if there is one. Returns whether it pushed the setting's
 * values. */
static bool push_setting(lua_State *L, int upvalue, int values)
{
  if (lua_isnil(L, lua_upvalueindex(upvalue)))
    return false;
  lua_pushvalue(L, lua_upvalueindex(upvalue));
  lua_call(L, 0, values);
  return true;
}

static int64_t setting_at(lua_State *L, int index, int64_t otherwise)
{
  int64_t value;
  const bool fine = uk_lua_read_integer(L, index, &value) == UK_INTEGER_OK;
  return fine && value >= 0 && value <= INT32_MAX ? value : otherwise;
}

static struct uk_lua_json_style read_style(lua_State *L)
{
  struct uk_lua_json_style style =
    *(struct uk_lua_json_style *)lua_touserdata(L, lua_upvalueindex(STYLE));
  if (push_setting(L, SPARSE, 3)) {
    style.convert = lua_toboolean(L, -3);
    style.ratio = setting_at(L, -2, style.ratio);
    style.safe = setting_at(L, -1, style.safe);
    lua_pop(L, 3);
  }
  if (push_setting(L, EMPTY, 1)) {
    style.empty_is_array = !lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return style;
}

static int refuse(lua_State *L, const char *reason, const char *path)
{
  lua_pushnil(L);
  lua_pushstring(L, reason);
  lua_pushstring(L, path);
  return 3;
}

static int encode(lua_State *L)
{
  struct uk_lua_json_fault fault;
  lua_settop(L, 1);
  const struct uk_lua_json_style style = read_style(L);
  struct uk_lua_call_memory *memory = take_text(L);
  struct uk_buffer *text = &memory->response;
  const bool fine = uk_lua_json_encode(L, 1, &style, text, &fault);
  check_memory(L, text);
  int results = 1;
  if (!fine)
    results = refuse(L, fault.reason, fault.path);
  else if (text->error != UK_OK)
    results = refuse(L, "more than 256 MiB of JSON", "");
  else
    lua_pushlstring(L, text->data, text->length);
  uk_lua_call_memory_give(L, lua_upvalueindex(TEXTS), 2);
  return results;
}

/* Decode. */

static int fail(lua_State *L, const struct uk_lua_json_target *target)
{
  lua_pushnil(L);
  if (target->misfit[0] != '\0') {
    lua_pushfstring(L, "%s does not fit this Lua's numbers " UK_LUA_NUMBERS, target->misfit);
    lua_pushstring(L, uk_error_word(UK_E_INTEGER_RANGE));
    return 3;
  }
  lua_pushfstring(L, "at byte %d: %s", (int)target->json->position,
                  uk_json_error_text(target->json->error));
  lua_pushstring(L, uk_error_word(UK_E_BAD_RESPONSE));
  return 3;
}

/* Pushes the metatable for arrays and returns its stack index; 0 = arrays get none. */
static int push_array_mt(lua_State *L)
{
  if (!push_setting(L, MARKED, 1))
    return 0;
  const bool marked = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (!marked)
    return 0;
  lua_pushvalue(L, lua_upvalueindex(ARRAY_MT));
  return lua_gettop(L);
}

static int decode(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "decode", .argument = 1};
  size_t length;
  lua_settop(L, 1);
  if (lua_type(L, 1) != LUA_TSTRING)
    return uk_lua_misuse_type(L, &blame, NULL, "string", 1);
  const char *given = lua_tolstring(L, 1, &length);
  struct uk_lua_call_memory *memory = take_text(L);
  struct uk_buffer *text = &memory->response;
  uk_buffer_append(text, given, length);
  check_memory(L, text);
  if (text->error != UK_OK)
    return refuse(L, "more than 256 MiB of JSON", uk_error_word(UK_E_BAD_RESPONSE));
  struct uk_json_reader json;
  struct uk_lua_json_target target = {.L = L, .json = &json, .nulls = true};
  target.array_mt = push_array_mt(L);
  uk_json_reader_init(&json, text->data, text->length,
                      UK_JSON_STRICT_SURROGATE | UK_JSON_ANY_BYTES | UK_JSON_DEEP);
  const bool fine =
    uk_lua_json_push(&target, uk_json_next(&json)) && uk_json_next(&json) == UK_JSON_END;
  const int results = fine ? 1 : fail(L, &target);
  uk_lua_call_memory_give(L, lua_upvalueindex(TEXTS), 2);
  return results;
}

/* The pair. */

/* Pushes that field of the table at index 1, or nil if it has another type. */
static void push_field(lua_State *L, const char *name, int type)
{
  lua_pushstring(L, name);
  lua_rawget(L, 1);
  if (lua_type(L, -1) == type)
    return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

static const void *pointer_of(lua_State *L, const char *name, int type)
{
  push_field(L, name, type);
  const void *pointer = lua_topointer(L, -1);
  if (type == LUA_TLIGHTUSERDATA)
    pointer = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return pointer;
}

static void push_style(lua_State *L)
{
  struct uk_lua_json_style *style = lua_newuserdata(L, sizeof *style);
  *style = (struct uk_lua_json_style){.ratio = RATIO_DEFAULT, .safe = SAFE_DEFAULT};
  style->empty_array = pointer_of(L, "empty_array", LUA_TLIGHTUSERDATA);
  style->empty_array_mt = pointer_of(L, "empty_array_mt", LUA_TTABLE);
  style->array_mt = pointer_of(L, "array_mt", LUA_TTABLE);
}

int uk_lua_json_codec(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "json", .argument = 1};
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  if (lua_type(L, 1) != LUA_TTABLE)
    return uk_lua_misuse_type(L, &blame, "cjson", "table", 1);
  lua_newtable(L);
  lua_pushvalue(L, 1);
  push_style(L);
  push_field(L, "encode_sparse_array", LUA_TFUNCTION);
  push_field(L, "encode_empty_table_as_object", LUA_TFUNCTION);
  lua_pushcclosure(L, encode, ENCODE_UPVALUES);
  lua_newtable(L);
  lua_pushvalue(L, 1);
  push_field(L, "array_mt", LUA_TTABLE);
  push_field(L, "decode_array_with_array_mt", LUA_TFUNCTION);
  lua_pushcclosure(L, decode, DECODE_UPVALUES);
  return 2;
}
