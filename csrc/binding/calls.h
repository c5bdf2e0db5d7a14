/* calls: the table of a client's calls. A row takes a call from its Lua arguments to its result. */
#ifndef UK_CALLS_H
#define UK_CALLS_H

#include "binding/build.h"
#include "binding/decode.h"
#include "client/retry.h"

struct uk_lua_call_row {
  const char *name;
  int arguments; /* their number, without self */
  uk_lua_builder *build;
  uk_lua_decoder *decode;
  enum uk_retry_class retry;
  const char *list; /* the argument that is a list of messages or places, NULL = none */
  bool keyed;       /* carries an Idempotency-Key */
};

/* The last row has no name. */
extern const struct uk_lua_call_row uk_lua_calls[];

/* Returns NULL if no call has that name. */
const struct uk_lua_call_row *uk_lua_find_call(const char *name);

#endif
