/* failure: how a call fails: it returns nil, message, details. Misuse raises instead
 * (options.h). */
#ifndef UK_FAILURE_H
#define UK_FAILURE_H

#include "binding/compat.h"
#include "client/response.h"
#include "common/error.h"
#include "common/slice.h"

struct uk_lua_failure {
  enum uk_error error;
  int status;              /* HTTP status, 0 = failed before there was one */
  int64_t retry_after;     /* seconds, -1 = the server named none */
  struct uk_slice message; /* data NULL: the error's default text */
  const struct uk_response_position
    *position;       /* of the message at fault; NULL or not known = none */
  const char *again; /* how to get the response's messages again; NULL = it had none */
};

/* Pushes {error=, status=, code=, retriable=, retry_after=, position=, again=}. `error` is the
 * value at index `message`. */
void uk_lua_push_details(lua_State *L, const struct uk_lua_failure *failure, int message);

/* Pushes nil, message and details; returns 3. The message names the position. Copies the message
 * before anything in Lua could free its bytes. */
int uk_lua_push_failure(lua_State *L, const struct uk_lua_failure *failure);

/* The same for failures without a status. `text` NULL: the error's default text. */
int uk_lua_push_error(lua_State *L, enum uk_error error, const char *text);

/* Pushes the list of all errors, each as {code=, status=, retriable=, text=}. */
void uk_lua_push_error_list(lua_State *L);

#endif
