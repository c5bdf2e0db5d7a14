/* result: the one way in which a call fails: nil, message, details. Misuse raises instead
 * (options.h). */
#ifndef UK_FAILURE_H
#define UK_FAILURE_H

#include "binding/compat.h"
#include "client/response.h"
#include "common/error.h"
#include "common/slice.h"

struct uk_lua_failure {
  enum uk_error error;
  int status;              /* HTTP status, 0 = the failure came before one */
  int64_t retry_after;     /* seconds, -1 = not said */
  struct uk_slice message; /* data NULL: the error's own text */
  const struct uk_response_position
    *position;       /* of the message at fault; NULL or not known: none */
  const char *again; /* how to get again what the answer held; NULL = it held nothing */
};

/* Pushes {error=, status=, code=, retriable=, retry_after=, position=, again=}, with the value at
 * the index `message` as error. */
void uk_lua_push_details(lua_State *L, const struct uk_lua_failure *failure, int message);

/* Pushes nil, message and details; returns 3. The message names the position. The
 * bytes of the message are read before anything else happens in Lua that could free them. */
int uk_lua_push_failure(lua_State *L, const struct uk_lua_failure *failure);

/* For failures without a status. `text` NULL: the error's own text. */
int uk_lua_push_error(lua_State *L, enum uk_error error, const char *text);

/* Pushes the list of {code=, status=, retriable=, text=} of every error. */
void uk_lua_push_error_list(lua_State *L);

#endif
