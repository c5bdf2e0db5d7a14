#include "binding/partial_produce.h"

#include "binding/json_lua.h"
#include "binding/failure.h"

static bool set_integer(lua_State *L, struct uk_response_reader *reader, const char *name,
                        int64_t value)
{
  if (!uk_lua_push_response_integer(L, reader, value))
    return false;
  lua_setfield(L, -2, name);
  return true;
}

static bool push_metadata(lua_State *L, struct uk_response_reader *reader,
                          const struct uk_produce_result *result)
{
  lua_createtable(L, 0, 4);
  lua_pushlstring(L, result->topic.data, result->topic.length);
  lua_setfield(L, -2, "topic");
  uk_lua_push_exact(L, result->timestamp);
  lua_setfield(L, -2, "timestamp");
  return set_integer(L, reader, "partition", result->partition) &&
         set_integer(L, reader, "offset", result->offset);
}

static void push_failed(lua_State *L, const struct uk_produce_result *result)
{
  const struct uk_lua_failure failure = {.error = result->error,
                                         .status = result->status,
                                         .retry_after = -1,
                                         .message = result->message};
  lua_pushlstring(L, result->message.data, result->message.length);
  uk_lua_push_details(L, &failure, lua_gettop(L));
  lua_remove(L, -2);
}

/* Pushes the list, up to the first result that cannot be read. */
static void push_list(lua_State *L, struct uk_response_reader *reader)
{
  struct uk_produce_result result;
  lua_createtable(L, (int)reader->messages, 0);
  for (int i = 1; uk_response_result(reader, &result); i++) {
    if (result.error != UK_OK)
      push_failed(L, &result);
    else if (!push_metadata(L, reader, &result))
      return;
    lua_rawseti(L, -2, i);
  }
}

int uk_lua_push_partial_produce(lua_State *L, const struct uk_client_failure *failure,
                                size_t messages)
{
  struct uk_response_reader reader;
  struct uk_lua_failure result = {.error = failure->error,
                                  .status = failure->status,
                                  .retry_after = failure->retry_after,
                                  .message = failure->message};
  luaL_checkstack(L, 12, NULL);
  int list = lua_gettop(L) + 1;
  if (uk_response_results(&reader, failure, messages))
    push_list(L, &reader);
  if (reader.error != UK_OK) {
    lua_settop(L, list - 1);
    result.error = reader.error;
    result.message = uk_slice_text(reader.message);
    return uk_lua_push_failure(L, &result);
  }
  uk_lua_push_failure(L, &result);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "retriable");
  lua_pushvalue(L, list);
  lua_setfield(L, -2, "results");
  lua_remove(L, list);
  return 3;
}
