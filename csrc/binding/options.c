#include "binding/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "binding/number_lua.h"

enum { MESSAGE_SIZE = 512, NAME_SHOWN_MAX = 64 };

static void append(char *text, size_t *length, const char *format, ...)
  __attribute__((format(printf, 3, 4)));

/* Truncates text that does not fit. */
static void append_list(char *text, size_t *length, const char *format, va_list arguments)
{
  int written = vsnprintf(text + *length, MESSAGE_SIZE - *length, format, arguments);
  if (written > 0)
    *length += (size_t)written;
  if (*length >= MESSAGE_SIZE)
    *length = MESSAGE_SIZE - 1;
}

static void append(char *text, size_t *length, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  append_list(text, length, format, arguments);
  va_end(arguments);
}

static void append_place(char *text, size_t *length, const struct uk_lua_blame *blame,
                         const char *field)
{
  const char *dot = "";
  if (blame->list != NULL) {
    append(text, length, "%s[%zu]", blame->list, blame->index);
    dot = ".";
  }
  if (blame->sublist != NULL) {
    append(text, length, "%s%s[%zu]", dot, blame->sublist, blame->subindex);
    dot = ".";
  }
  if (field != NULL)
    append(text, length, "%s%s", dot, field);
  if (field != NULL || *dot != '\0')
    append(text, length, ": ");
}

int uk_lua_misuse(lua_State *L, const struct uk_lua_blame *blame, const char *field,
                  const char *format, ...)
{
  char text[MESSAGE_SIZE];
  size_t length = 0;
  append_place(text, &length, blame, field);
  va_list arguments;
  va_start(arguments, format);
  append_list(text, &length, format, arguments);
  va_end(arguments);
  luaL_error(L, "bad argument #%d to '%s' (%s)", blame->argument, blame->function, text);
  __builtin_unreachable(); /* Lua does not declare that luaL_error never returns */
}

int uk_lua_misuse_type(lua_State *L, const struct uk_lua_blame *blame, const char *field,
                       const char *expected, int index)
{
  uk_lua_misuse(L, blame, field, "%s expected, got %s", expected, luaL_typename(L, index));
}

static void *at_offset(void *out, const struct uk_lua_option *row)
{
  return (char *)out + row->offset;
}

static void read_string(lua_State *L, int index, const struct uk_lua_option *row, void *out,
                        const struct uk_lua_blame *blame)
{
  if (lua_type(L, index) != LUA_TSTRING)
    uk_lua_misuse_type(L, blame, row->name, "string", index);
  size_t length;
  const char *data = lua_tolstring(L, index, &length);
  if (row->type == UK_OPTION_STRING) {
    *(struct uk_slice *)at_offset(out, row) = uk_slice_of(data, length);
    return;
  }
  if (memchr(data, '\0', length) != NULL)
    uk_lua_misuse(L, blame, row->name, "string without NUL bytes expected");
  *(const char **)at_offset(out, row) = data;
}

static void read_integer(lua_State *L, int index, const struct uk_lua_option *row, void *out,
                         const struct uk_lua_blame *blame)
{
  int64_t value = 0;
  char text[UK_DECIMAL_SIZE];
  switch (uk_lua_read_integer(L, index, &value)) {
  case UK_INTEGER_OK: break;
  case UK_INTEGER_NOT_A_NUMBER: uk_lua_misuse_type(L, blame, row->name, "integer", index); break;
  case UK_INTEGER_FRACTION:
    uk_lua_number_text(L, index, text);
    uk_lua_misuse(L, blame, row->name, "integer expected, got %s", text);
    break;
  case UK_INTEGER_INEXACT:
    uk_lua_misuse(L, blame, row->name, "a float beyond 2^53 is not an exact integer: %.17g",
                  (double)lua_tonumber(L, index));
    break;
  }
  if (row->min != row->max && (value < row->min || value > row->max))
    uk_lua_misuse(L, blame, row->name, "integer from %lld to %lld expected, got %lld",
                  (long long)row->min, (long long)row->max, (long long)value);
  *(int64_t *)at_offset(out, row) = value;
}

static void append_choices(char *text, size_t *length, const char *const *choices)
{
  for (const char *const *choice = choices; *choice != NULL; choice++)
    append(text, length, "%s\"%s\"",
           choice == choices   ? ""
           : choice[1] == NULL ? " or "
                               : ", ",
           *choice);
}

static void read_choice(lua_State *L, int index, const struct uk_lua_option *row, void *out,
                        const struct uk_lua_blame *blame)
{
  char expected[MESSAGE_SIZE];
  size_t length = 0;
  const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
  for (int i = 0; text != NULL && row->choices[i] != NULL; i++)
    if (strcmp(text, row->choices[i]) == 0) {
      *(int *)at_offset(out, row) = i;
      return;
    }
  append_choices(expected, &length, row->choices);
  if (text == NULL)
    uk_lua_misuse_type(L, blame, row->name, expected, index);
  uk_lua_misuse(L, blame, row->name, "%s expected, got \"%.*s\"", expected, NAME_SHOWN_MAX, text);
}

void uk_lua_read_option(lua_State *L, int index, const struct uk_lua_option *row, void *out,
                        int slots, const struct uk_lua_blame *blame)
{
  index = uk_lua_absindex(L, index);
  switch (row->type) {
  case UK_OPTION_STRING:
  case UK_OPTION_TEXT: read_string(L, index, row, out, blame); break;
  case UK_OPTION_INTEGER: read_integer(L, index, row, out, blame); break;
  case UK_OPTION_CHOICE: read_choice(L, index, row, out, blame); break;
  case UK_OPTION_BOOLEAN:
    if (lua_type(L, index) != LUA_TBOOLEAN)
      uk_lua_misuse_type(L, blame, row->name, "boolean", index);
    *(bool *)at_offset(out, row) = lua_toboolean(L, index);
    break;
  case UK_OPTION_FUNCTION:
    if (lua_type(L, index) != LUA_TFUNCTION)
      uk_lua_misuse_type(L, blame, row->name, "function", index);
    /* fall through */
  case UK_OPTION_VALUE:
  case UK_OPTION_NULLABLE:
    lua_pushvalue(L, index);
    lua_replace(L, slots + (int)row->offset);
    break;
  }
}

/* Returns the row that the key at `index` names. Raises if there is none. */
static const struct uk_lua_option *find_row(lua_State *L, int index,
                                            const struct uk_lua_option *rows,
                                            const struct uk_lua_blame *blame)
{
  const char *noun = blame->list != NULL ? "field" : "option";
  if (lua_type(L, index) != LUA_TSTRING)
    uk_lua_misuse(L, blame, NULL, "%s names are strings, got a %s", noun, luaL_typename(L, index));
  size_t length;
  const char *name = lua_tolstring(L, index, &length);
  for (; rows->name != NULL; rows++)
    if (name[0] == rows->name[0] && strlen(name) == length && strcmp(name, rows->name) == 0)
      return rows;
  uk_lua_misuse(L, blame, NULL, "unknown %s '%.*s'", noun, NAME_SHOWN_MAX, name);
  return NULL;
}

static void check_required(lua_State *L, const struct uk_lua_option *rows, uint64_t seen,
                           const struct uk_lua_blame *blame)
{
  for (unsigned i = 0; rows[i].name != NULL; i++)
    if (rows[i].required && (seen >> i & 1) == 0)
      uk_lua_misuse(L, blame, rows[i].name, "required, but absent");
}

uint64_t uk_lua_read_options(lua_State *L, int index, bool optional,
                             const struct uk_lua_option *rows, void *out, int slots,
                             const struct uk_lua_blame *blame)
{
  uint64_t seen = 0;
  index = uk_lua_absindex(L, index);
  if (lua_type(L, index) == LUA_TTABLE) {
    luaL_checkstack(L, 4, NULL);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
      const struct uk_lua_option *row = find_row(L, -2, rows, blame);
      if (!row->required && row->type != UK_OPTION_NULLABLE && uk_lua_isnull(L, -1))
        continue;
      uk_lua_read_option(L, -1, row, out, slots, blame);
      seen |= UINT64_C(1) << (row - rows);
    }
  } else if (!optional || !(lua_isnoneornil(L, index) || uk_lua_isnull(L, index))) {
    uk_lua_misuse_type(L, blame, NULL, "table", index);
  }
  check_required(L, rows, seen, blame);
  return seen;
}
