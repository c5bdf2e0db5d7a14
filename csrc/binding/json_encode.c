#include "binding/json_encode.h"

#include <stdarg.h>
#include <stdio.h>

#include "binding/number_lua.h"
#include "common/json_writer.h"

/* The stack grows for this many levels at a time; a level has a key and a value on it. */
enum { NAME_SHOWN_MAX = 64, LEVELS_CHECKED = 16, SLOTS_CHECKED = 2 * LEVELS_CHECKED + 8 };

struct encoder {
  lua_State *L;
  const struct uk_lua_json_style *style;
  struct uk_buffer *buffer;
  struct uk_lua_json_fault *fault;
  int bottom; /* stack index of the outermost value */
  int depth;
};

/* What is wrong, and where. */

static bool refuse(struct encoder *encoder, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

/* Returns false. */
static bool refuse(struct encoder *encoder, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(encoder->fault->reason, UK_JSON_REASON_SIZE, format, arguments);
  va_end(arguments);
  return false;
}

/* Prepends a step to the path to the fault; cuts the inner end of a path that is too long. Returns
 * false. */
static bool refuse_in(struct encoder *encoder, const char *step)
{
  static const char cut[] = "...";
  char *path = encoder->fault->path;
  const size_t length = strlen(step), inner = strlen(path);
  const size_t room = UK_JSON_PATH_SIZE - sizeof cut - length;
  const size_t kept = inner < room ? inner : room;
  memmove(path + length, path, kept);
  memcpy(path, step, length);
  strcpy(path + length + kept, kept < inner ? cut : "");
  return false;
}

static bool is_name(const char *text, size_t length)
{
  static const char characters[] =
    "0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return length > 0 && length <= NAME_SHOWN_MAX && strchr("0123456789", text[0]) == NULL &&
         strspn(text, characters) == length;
}

/* Pops the key and the value. Returns false. */
static bool refuse_in_field(struct encoder *encoder)
{
  lua_State *L = encoder->L;
  char step[NAME_SHOWN_MAX + 8], number[UK_DECIMAL_SIZE];
  size_t length;
  if (lua_type(L, -2) == LUA_TNUMBER) {
    uk_lua_number_text(L, -2, number);
    snprintf(step, sizeof step, "[%s]", number);
  } else {
    const char *name = lua_tolstring(L, -2, &length);
    snprintf(step, sizeof step, is_name(name, length) ? ".%.*s" : "[\"%.*s\"]", NAME_SHOWN_MAX,
             name);
  }
  lua_pop(L, 2);
  return refuse_in(encoder, step);
}

/* Pops the value. Returns false. */
static bool refuse_in_element(struct encoder *encoder, int64_t index)
{
  char step[32];
  snprintf(step, sizeof step, "[%lld]", (long long)index);
  lua_pop(encoder->L, 1);
  return refuse_in(encoder, step);
}

/* Explains why the table on top is one level too deep. Returns false. */
static bool refuse_depth(struct encoder *encoder)
{
  lua_State *L = encoder->L;
  for (int i = encoder->bottom; i < lua_gettop(L); i++)
    if (lua_rawequal(L, i, -1))
      return refuse(encoder, "the table contains itself");
  return refuse(encoder, "nested deeper than %d levels", UK_JSON_DEEP_MAX);
}

/* Scalars: the value stays on top of the stack. */

static bool put_text(struct encoder *encoder, const char *text)
{
  uk_buffer_append_text(encoder->buffer, text);
  return true;
}

static bool put_string(struct encoder *encoder)
{
  struct uk_slice text;
  text.data = lua_tolstring(encoder->L, -1, &text.length);
  uk_json_write_bytes(encoder->buffer, text);
  return true;
}

static bool put_number(struct encoder *encoder)
{
  lua_State *L = encoder->L;
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, -1)) {
    uk_json_write_integer(encoder->buffer, (int64_t)lua_tointeger(L, -1));
    return true;
  }
#endif
  char text[UK_DECIMAL_SIZE];
  const size_t length = uk_lua_number_text(L, -1, text);
  if (length == 0)
    return refuse(encoder, "%s is not JSON", text);
  uk_buffer_append(encoder->buffer, text, length);
  return true;
}

static bool put_light_userdata(struct encoder *encoder)
{
  const void *pointer = lua_touserdata(encoder->L, -1);
  if (pointer == NULL)
    return put_text(encoder, "null");
  if (pointer == encoder->style->empty_array)
    return put_text(encoder, "[]");
  return refuse(encoder, "a userdata is not JSON");
}

/* Tables: the value stays on top of the stack, after a fault too. */

static bool put_value(struct encoder *encoder);

/* The keys of a table, as long as all of them are integers from 1. */
struct indices {
  int64_t largest, count;
};

/* Returns the key below the top as an array index, 0 if it is none. */
static inline int64_t index_at(lua_State *L)
{
#if LUA_VERSION_NUM >= 503
  const int64_t index = lua_isinteger(L, -2) ? (int64_t)lua_tointeger(L, -2) : 0;
  return index > 0 ? index : 0;
#else
  const double number = lua_type(L, -2) == LUA_TNUMBER ? (double)lua_tonumber(L, -2) : 0;
  if (!(number >= 1 && number <= (double)UK_EXACT_MAX))
    return 0;
  const int64_t index = (int64_t)number;
  return (double)index == number ? index : 0;
#endif
}

/* Pops the first key and value and reads the keys after it. Returns false if one is not an
 * index. */
static inline bool read_indices(lua_State *L, struct indices *indices)
{
  lua_pop(L, 1);
  for (; lua_next(L, -2) != 0; lua_pop(L, 1)) {
    const int64_t index = index_at(L);
    if (index == 0) {
      lua_pop(L, 2);
      return false;
    }
    indices->count++;
    if (index > indices->largest)
      indices->largest = index;
  }
  return true;
}

static bool is_sparse(const struct uk_lua_json_style *style, const struct indices *indices)
{
  if (indices->largest > INT32_MAX)
    return true;
  return style->ratio > 0 && indices->largest > style->safe &&
         indices->largest > indices->count * style->ratio;
}

static bool put_array(struct encoder *encoder, int64_t length)
{
  lua_State *L = encoder->L;
  uk_buffer_append_byte(encoder->buffer, '[');
  for (int64_t i = 1; i <= length && encoder->buffer->error == UK_OK; i++) {
    if (i > 1)
      uk_buffer_append_byte(encoder->buffer, ',');
    lua_rawgeti(L, -1, (int)i);
    if (!put_value(encoder))
      return refuse_in_element(encoder, i);
    lua_pop(L, 1);
  }
  uk_buffer_append_byte(encoder->buffer, ']');
  return true;
}

/* Writes the byte `before` and the key below the top. */
static bool put_name(struct encoder *encoder, char before)
{
  lua_State *L = encoder->L;
  char text[UK_DECIMAL_SIZE];
  struct uk_slice name = {text, 0};
  const int type = lua_type(L, -2);
  if (type == LUA_TSTRING)
    name.data = lua_tolstring(L, -2, &name.length);
  else if (type != LUA_TNUMBER)
    return refuse(encoder, "a %s cannot be a key in JSON", lua_typename(L, type));
  else if ((name.length = uk_lua_number_text(L, -2, text)) == 0)
    return refuse(encoder, "%s cannot be a key in JSON", text);
  uk_json_write_name(encoder->buffer, before, name);
  return true;
}

/* Precondition: the table's first key and value are on top. */
static bool put_fields(struct encoder *encoder)
{
  lua_State *L = encoder->L;
  char before = '{';
  do {
    if (!put_name(encoder, before)) {
      lua_pop(L, 2);
      return false;
    }
    before = ',';
    if (!put_value(encoder))
      return refuse_in_field(encoder);
    lua_pop(L, 1);
  } while (lua_next(L, -2) != 0);
  uk_buffer_append_byte(encoder->buffer, '}');
  return true;
}

/* Returns the metatable of the table on top, NULL for none or if no metatable has a meaning. */
static const void *metatable_of(const struct encoder *encoder)
{
  lua_State *L = encoder->L;
  const struct uk_lua_json_style *style = encoder->style;
  if ((style->array_mt == NULL && style->empty_array_mt == NULL) || !lua_getmetatable(L, -1))
    return NULL;
  const void *metatable = lua_topointer(L, -1);
  lua_pop(L, 1);
  return metatable;
}

/* How a table is written. */
enum layout { EMPTY_OBJECT, OBJECT, ARRAY, REFUSED };

/* Chooses the layout of a table whose first key is the index `*length`; pops that key and its
 * value. Sets the length of an array. */
static enum layout read_indexed_layout(struct encoder *encoder, int64_t *length)
{
  struct indices indices = {*length, 1};
  if (!read_indices(encoder->L, &indices))
    return OBJECT;
  *length = indices.largest;
  if (!is_sparse(encoder->style, &indices))
    return ARRAY;
  if (encoder->style->convert)
    return OBJECT;
  refuse(encoder, "excessively sparse array");
  return REFUSED;
}

/* Chooses the layout of the table on top. Sets the length of an array; pushes the first key and
 * value of an object. */
static enum layout read_layout(struct encoder *encoder, int64_t *length)
{
  lua_State *L = encoder->L;
  const struct uk_lua_json_style *style = encoder->style;
  const void *metatable = metatable_of(encoder);
  if (metatable != NULL && metatable == style->array_mt) {
    *length = (int64_t)uk_lua_rawlen(L, -1);
    return ARRAY;
  }
  *length = 0;
  lua_pushnil(L);
  if (lua_next(L, -2) == 0) {
    const bool marked = metatable != NULL && metatable == style->empty_array_mt;
    return style->empty_is_array || marked ? ARRAY : EMPTY_OBJECT;
  }
  *length = index_at(L);
  if (*length == 0)
    return OBJECT;
  const enum layout layout = read_indexed_layout(encoder, length);
  if (layout == OBJECT) {
    lua_pushnil(L);
    lua_next(L, -2);
  }
  return layout;
}

/* The only caller of put_fields and put_array, so that the compiler inlines them and a level costs
 * one frame of the C stack. With two frames deep values encode a tenth slower, because a processor
 * predicts only a few dozen returns. */
static bool put_level(struct encoder *encoder)
{
  int64_t length;
  switch (read_layout(encoder, &length)) {
  case EMPTY_OBJECT: return put_text(encoder, "{}");
  case OBJECT: return put_fields(encoder);
  case ARRAY: return put_array(encoder, length);
  default: return false;
  }
}

static bool put_table(struct encoder *encoder)
{
  const bool check = encoder->depth % LEVELS_CHECKED == 0;
  if (encoder->depth == UK_JSON_DEEP_MAX || (check && !lua_checkstack(encoder->L, SLOTS_CHECKED)))
    return refuse_depth(encoder);
  encoder->depth++;
  const bool fine = put_level(encoder);
  encoder->depth--;
  return fine;
}

static bool put_value(struct encoder *encoder)
{
  lua_State *L = encoder->L;
  switch (lua_type(L, -1)) {
  case LUA_TSTRING: return put_string(encoder);
  case LUA_TNUMBER: return put_number(encoder);
  case LUA_TTABLE: return put_table(encoder);
  case LUA_TBOOLEAN: return put_text(encoder, lua_toboolean(L, -1) ? "true" : "false");
  case LUA_TNIL: return put_text(encoder, "null");
  case LUA_TLIGHTUSERDATA: return put_light_userdata(encoder);
  default: return refuse(encoder, "a %s is not JSON", luaL_typename(L, -1));
  }
}

bool uk_lua_json_encode(lua_State *L, int index, const struct uk_lua_json_style *style,
                        struct uk_buffer *buffer, struct uk_lua_json_fault *fault)
{
  const int top = lua_gettop(L);
  struct encoder encoder = {L, style, buffer, fault, top + 1, 0};
  /* cppcheck-suppress ctuuninitvar ; these two are set here */
  fault->path[0] = fault->reason[0] = '\0';
  luaL_checkstack(L, 4, NULL);
  lua_pushvalue(L, index);
  const bool fine = put_value(&encoder);
  lua_settop(L, top);
  return fine;
}
