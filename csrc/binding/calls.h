/* calls: the table of what a client can do: one row for each call, from its Lua arguments to its
 * result. */
#ifndef UK_CALLS_H
#define UK_CALLS_H

#include "binding/build.h"
#include "binding/decode.h"
#include "client/retry.h"

struct uk_lua_call_row {
  const char *name;
  int arguments; /* how many it takes, self not counted */
  uk_lua_builder *build;
  uk_lua_decoder *decode;
  enum uk_retry_class retry;
};

/* Ended by a row whose name is NULL. */
extern const struct uk_lua_call_row uk_lua_calls[];

/* NULL when there is none. */
const struct uk_lua_call_row *uk_lua_find_call(const char *name);

#endif
