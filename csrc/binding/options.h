/* options: Lua tables of named fields read into C structs, and the one way in which misuse is
 * blamed.
 *
 * A table of rows says what the fields are; a wrong type, a missing required field and an
 * unknown key raise, naming the field: "bad argument #2 to 'produce_many'
 * (messages[3].partition: integer expected, got string)". Errors blame the line that called the
 * running C function. */
#ifndef UK_OPTIONS_H
#define UK_OPTIONS_H

#include "binding/compat.h"
#include "common/slice.h"

/* Where in the arguments the reader is. */
struct uk_lua_blame {
  const char *function; /* as the user called it */
  int argument;         /* of it, from 1, without self */
  const char *list;     /* NULL, or the name of the list that is being read */
  size_t index;         /* in that list, from 1 */
  const char *sublist;  /* NULL, or a list inside the element */
  size_t subindex;
};

enum uk_lua_option_type {
  UK_OPTION_STRING,   /* struct uk_slice: bytes of the string that the table holds */
  UK_OPTION_TEXT,     /* const char *: the same, refused when it holds a NUL */
  UK_OPTION_BOOLEAN,  /* bool */
  UK_OPTION_INTEGER,  /* int64_t, from `min` to `max` when these differ */
  UK_OPTION_CHOICE,   /* int: position in `choices` */
  UK_OPTION_FUNCTION, /* left in the stack slot `slots + offset` */
  UK_OPTION_VALUE,    /* any value; the same */
  UK_OPTION_NULLABLE  /* the same, and null is a value */
};

struct uk_lua_option {
  const char *name; /* NULL ends the table */
  enum uk_lua_option_type type;
  bool required;
  size_t offset; /* in the struct, or the slot's distance from `slots` */
  int64_t min, max;
  const char *const *choices; /* NULL-terminated */
};

/* Reads the table at `index` into `out`; absent fields leave `out` and the slots as they were.
 * null in a field that is not required is an absent one, unless the row is NULLABLE.
 * Returns a bit for each row that was there. nil, none and null read as an empty table when
 * `optional`. Runs no Lua code: access is raw. */
uint64_t uk_lua_read_options(lua_State *L, int index, bool optional,
                             const struct uk_lua_option *rows, void *out, int slots,
                             const struct uk_lua_blame *blame);

/* One value as a field of the given type would be read. `row->name` names it in errors. */
void uk_lua_read_option(lua_State *L, int index, const struct uk_lua_option *row, void *out,
                        int slots, const struct uk_lua_blame *blame);

/* Raises. `field` may be NULL: the element or the argument itself is at fault. */
int uk_lua_misuse(lua_State *L, const struct uk_lua_blame *blame, const char *field,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Raises "FIELD: EXPECTED expected, got TYPE". */
int uk_lua_misuse_type(lua_State *L, const struct uk_lua_blame *blame, const char *field,
                       const char *expected, int index);

#endif
