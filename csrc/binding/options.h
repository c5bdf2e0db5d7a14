/* options: reads Lua tables of named fields into C structs, and raises for misuse.
 *
 * A table of rows describes the fields. A wrong type, a missing required field and an unknown key
 * raise an error that names the field: "bad argument #2 to 'produce_many' (messages[3].partition:
 * integer expected, got string)". Errors blame the line that called the running C function. */
#ifndef UK_OPTIONS_H
#define UK_OPTIONS_H

#include "binding/compat.h"
#include "common/slice.h"

/* The value that an error blames. */
struct uk_lua_blame {
  const char *function; /* the name that the user called */
  int argument;         /* its argument, from 1, without self */
  const char *list;     /* name of the list that is read, NULL = none */
  size_t index;         /* in that list, from 1 */
  const char *sublist;  /* a list inside the element, NULL = none */
  size_t subindex;
};

enum uk_lua_option_type {
  UK_OPTION_STRING,   /* struct uk_slice: bytes of the string, which the table owns */
  UK_OPTION_TEXT,     /* const char *: the same, without NUL bytes */
  UK_OPTION_BOOLEAN,  /* bool */
  UK_OPTION_INTEGER,  /* int64_t, from `min` to `max` if these differ */
  UK_OPTION_CHOICE,   /* int: index in `choices` */
  UK_OPTION_FUNCTION, /* put into the stack slot `slots + offset` */
  UK_OPTION_VALUE,    /* any value, put there too */
  UK_OPTION_NULLABLE  /* the same; null is a value here */
};

struct uk_lua_option {
  const char *name; /* NULL ends the table */
  enum uk_lua_option_type type;
  bool required;
  size_t offset; /* in the struct, or from the stack slot `slots` */
  int64_t min, max;
  const char *const *choices; /* NULL-terminated */
};

/* Reads the table at `index` into `out` and the stack slots; an absent field changes neither. null
 * counts as absent unless the row is required or NULLABLE. Returns a bit for each row that is
 * present. If `optional`, nil, none and null read as an empty table. Access is raw: no Lua code
 * runs. */
uint64_t uk_lua_read_options(lua_State *L, int index, bool optional,
                             const struct uk_lua_option *rows, void *out, int slots,
                             const struct uk_lua_blame *blame);

/* Reads one value like a field of that row. `row->name` names it in errors. */
void uk_lua_read_option(lua_State *L, int index, const struct uk_lua_option *row, void *out,
                        int slots, const struct uk_lua_blame *blame);

/* Raises. `field` NULL: the element or the argument itself is wrong. */
int uk_lua_misuse(lua_State *L, const struct uk_lua_blame *blame, const char *field,
                  const char *format, ...) __attribute__((noreturn, format(printf, 4, 5)));

/* Raises "FIELD: EXPECTED expected, got TYPE". */
int uk_lua_misuse_type(lua_State *L, const struct uk_lua_blame *blame, const char *field,
                       const char *expected, int index) __attribute__((noreturn));

#endif
