#include "binding/server_properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binding/number_lua.h"

enum { NUMBER_SIZE = UK_DECIMAL_SIZE, NAME_SHOWN_MAX = 64, FIELD_SIZE = NAME_SHOWN_MAX + 32 };

/* The list, with room for the text of each number. Filling it allocates nothing, so the collector
 * does not run and the strings that the entries point to stay alive. */
struct list {
  struct uk_kafka_property *entries;
  char (*numbers)[NUMBER_SIZE];
  size_t count, capacity;
};

/* One of the two maps that are read. */
struct map {
  const char *name; /* the option's */
  int index;
  bool files;
};

static int misuse(lua_State *L, const struct uk_lua_blame *blame, const struct map *map,
                  const char *property, const char *what)
{
  char field[FIELD_SIZE];
  snprintf(field, sizeof field, "%s.%.*s", map->name, NAME_SHOWN_MAX, property);
  return uk_lua_misuse(L, blame, field, "%s", what);
}

static const char *read_text(lua_State *L, const struct uk_lua_blame *blame, const struct map *map,
                             const char *property)
{
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (memchr(text, '\0', length) != NULL)
    misuse(L, blame, map, property, "string without NUL bytes expected");
  return text;
}

static const char *write_number(lua_State *L, const struct uk_lua_blame *blame,
                                const struct map *map, const char *property, char *text)
{
  int64_t value;
  if (uk_lua_read_integer(L, -1, &value) == UK_INTEGER_INEXACT)
    misuse(L, blame, map, property, "a float beyond 2^53 is not an exact integer");
  if (uk_lua_number_text(L, -1, text) == 0)
    misuse(L, blame, map, property, "a finite number expected");
  return text;
}

/* Returns the text of the value on top of the stack. */
static const char *read_value(lua_State *L, const struct uk_lua_blame *blame, const struct map *map,
                              const char *property, char *number)
{
  char what[FIELD_SIZE];
  int type = lua_type(L, -1);
  if (type == LUA_TSTRING)
    return read_text(L, blame, map, property);
  if (type == LUA_TNUMBER && !map->files)
    return write_number(L, blame, map, property, number);
  if (type == LUA_TBOOLEAN && !map->files)
    return lua_toboolean(L, -1) ? "true" : "false";
  snprintf(what, sizeof what, "%s expected, got %s", map->files ? "path" : "text",
           lua_typename(L, type));
  misuse(L, blame, map, property, what);
  return NULL;
}

static const char *read_name(lua_State *L, const struct uk_lua_blame *blame, const struct map *map)
{
  size_t length;
  if (lua_type(L, -2) != LUA_TSTRING)
    uk_lua_misuse(L, blame, map->name, "names of properties are strings, got a %s",
                  luaL_typename(L, -2));
  const char *name = lua_tolstring(L, -2, &length);
  if (memchr(name, '\0', length) != NULL)
    misuse(L, blame, map, name, "name without NUL bytes expected");
  return name;
}

static size_t count_entries(lua_State *L, const struct map *map, const struct uk_lua_blame *blame)
{
  size_t count = 0;
  if (lua_isnil(L, map->index))
    return 0;
  if (lua_type(L, map->index) != LUA_TTABLE)
    uk_lua_misuse_type(L, blame, map->name, "table", map->index);
  for (lua_pushnil(L); lua_next(L, map->index) != 0; lua_pop(L, 1))
    count++;
  return count;
}

/* Appends the map's entries. Stops at the counted capacity: a finaliser may have changed the map
 * since. */
static void append(lua_State *L, struct list *list, const struct map *map,
                   const struct uk_lua_blame *blame)
{
  if (lua_isnil(L, map->index))
    return;
  for (lua_pushnil(L); lua_next(L, map->index) != 0; lua_pop(L, 1)) {
    if (list->count == list->capacity) {
      lua_pop(L, 2);
      return;
    }
    const char *name = read_name(L, blame, map);
    const char *value = read_value(L, blame, map, name, list->numbers[list->count]);
    list->entries[list->count++] =
      (struct uk_kafka_property){.name = name, .value = value, .from_file = map->files};
  }
}

static int compare(const void *one, const void *other)
{
  const struct uk_kafka_property *left = one, *right = other;
  return strcmp(left->name, right->name);
}

void uk_lua_server_read_properties(lua_State *L, struct uk_lua_property_slots slots,
                                   struct uk_server_options *options,
                                   const struct uk_lua_blame *blame)
{
  const struct map values = {"properties", slots.values, false};
  const struct map files = {"property_files", slots.files, true};
  luaL_checkstack(L, 4, NULL);
  struct list list = {.capacity =
                        count_entries(L, &values, blame) + count_entries(L, &files, blame)};
  list.entries = lua_newuserdata(L, list.capacity * (sizeof *list.entries + NUMBER_SIZE) + 1);
  list.numbers = (char(*)[NUMBER_SIZE])(list.entries + list.capacity);
  append(L, &list, &values, blame);
  append(L, &list, &files, blame);
  qsort(list.entries, list.count, sizeof *list.entries, compare);
  for (size_t i = 1; i < list.count; i++)
    if (strcmp(list.entries[i - 1].name, list.entries[i].name) == 0)
      misuse(L, blame, &files, list.entries[i].name, "also set in properties");
  options->properties = list.entries;
  options->property_count = list.count;
}
