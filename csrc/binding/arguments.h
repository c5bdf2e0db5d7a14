/* arguments: the arguments of one call, and the functions that read names, lists and partitions
 * from them. The builders of calls share them. All of them raise on misuse and blame `function`. */
#ifndef UK_ARGUMENTS_H
#define UK_ARGUMENTS_H

#include "binding/options.h"
#include "client/idempotency_key.h"
#include "client/request.h"

struct uk_lua_arguments {
  lua_State *L;
  const char *function;
  int first;     /* stack index of the first argument after self */
  int companion; /* stack index of the client's companion table */
  struct uk_client_request *request;
  struct uk_key_source *keys; /* of the client; NULL for a producer, whose sender has its own */
  bool binary;
};

/* Returns the stack index of argument `number`, counted from 1. */
static inline int uk_lua_argument_index(const struct uk_lua_arguments *arguments, int number)
{
  return arguments->first + number - 1;
}

struct uk_lua_blame uk_lua_argument_blame(const struct uk_lua_arguments *arguments, int number);

/* Reads a non-empty string, which becomes a segment of a path. */
struct uk_slice uk_lua_argument_name(const struct uk_lua_arguments *arguments, int number,
                                     const char *name);

bool uk_lua_argument_absent(const struct uk_lua_arguments *arguments, int number); /* nil or none */

/* Returns the bytes of the string, or of the number's text, in the stack slot `index`. The slot
 * keeps them alive. */
struct uk_slice uk_lua_stack_text(lua_State *L, int index, const struct uk_lua_blame *blame,
                                  const char *field);

/* The same for a header's value: null is the empty string. */
struct uk_slice uk_lua_stack_header(lua_State *L, int index, const struct uk_lua_blame *blame,
                                    const char *field);

enum uk_lua_places {
  UK_PLACES_PARTITIONS, /* topic and partition */
  UK_PLACES_OFFSETS,    /* with an offset */
  UK_PLACES_FETCH       /* with an offset, and always as a list */
};

/* Adds the topic partitions of argument `number` to the body: one table as an object, a list as a
 * list. A consumed message stands for its partition, and for the offset after it. `list` names the
 * list in errors. An empty list is misuse: the server would read a commit of nothing as a commit of
 * everything. */
void uk_lua_add_partitions(const struct uk_lua_arguments *arguments, int number, const char *list,
                           enum uk_lua_places places);

/* The same for the value at stack index `index`, which `blame` blames. */
void uk_lua_add_places(const struct uk_lua_arguments *arguments, int index,
                       struct uk_lua_blame blame, const char *list, enum uk_lua_places places);

#endif
