/* arguments: what the builders of calls share: the arguments of one call, and reading names,
 * lists and partitions from them. Everything raises on misuse, blaming `function`. */
#ifndef UK_ARGUMENTS_H
#define UK_ARGUMENTS_H

#include "binding/options.h"
#include "client/request.h"

struct uk_lua_arguments {
  lua_State *L;
  const char *function;
  int first;     /* stack index of the first argument, self not counted */
  int companion; /* stack index of the client's companion table */
  struct uk_client_request *request;
  bool binary;
};

/* The stack index of argument `number`, from 1. */
static inline int uk_lua_argument_index(const struct uk_lua_arguments *arguments, int number)
{
  return arguments->first + number - 1;
}

struct uk_lua_blame uk_lua_argument_blame(const struct uk_lua_arguments *arguments, int number);

/* A string that is not empty: it becomes a segment of a path. */
struct uk_slice uk_lua_argument_name(const struct uk_lua_arguments *arguments, int number,
                                     const char *name);

bool uk_lua_argument_absent(const struct uk_lua_arguments *arguments, int number); /* nil or none */

/* Bytes of the string, or of the number's text, in the slot at `index`, which the slot keeps
 * alive. */
struct uk_slice uk_lua_stack_text(lua_State *L, int index, const struct uk_lua_blame *blame,
                                  const char *field);

/* The same of a header's value, where null is the empty text. */
struct uk_slice uk_lua_stack_header(lua_State *L, int index, const struct uk_lua_blame *blame,
                                    const char *field);

/* Adds the topic-partitions of argument `number`, one table or a list of them, to the body: an
 * object for one, a list for a list. With `offsets` each must have an offset. `list` names the
 * list in errors. An empty one is misuse: a commit of none would be read as one of all. */
void uk_lua_add_partitions(const struct uk_lua_arguments *arguments, int number, const char *list,
                           bool offsets);

#endif
