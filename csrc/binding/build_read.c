#include "binding/build.h"

#include <stdio.h>

static const struct uk_lua_option fetch_rows[] = {UK_BATCH_ROWS, {.name = NULL}};

static const struct uk_lua_option timeout_rows[] = {UK_TIMEOUT_ROW, {.name = NULL}};

void uk_lua_build_fetch(const struct uk_lua_arguments *arguments)
{
  struct uk_client_request *request = arguments->request;
  struct uk_lua_batch_options options = {-1, -1, -1};
  bool many = lua_type(arguments->L, uk_lua_argument_index(arguments, 1)) == LUA_TTABLE;
  uk_lua_argument_options(arguments, many ? 2 : 4, fetch_rows, &options);
  uk_lua_begin(arguments, UK_ENDPOINT_FETCH);
  uk_lua_set_wait(arguments, options.timeout, UK_FETCH_TIMEOUT);
  uk_client_request_object(request);
  if (many) {
    uk_client_request_name(request, "topicPartitionOffsets");
    uk_lua_add_partitions(arguments, 1, "offsets", UK_PLACES_FETCH);
  } else {
    uk_client_request_text(request, "topic", uk_lua_argument_name(arguments, 1, "topic"));
    uk_lua_add_integer(arguments, "partition",
                       uk_lua_argument_integer(arguments, 2, "partition", INT32_MAX));
    uk_lua_add_integer(arguments, "offset",
                       uk_lua_argument_integer(arguments, 3, "offset", INT64_MAX));
  }
  uk_lua_add_batch(arguments, &options);
  uk_client_request_object_end(request);
}

/* Reads argument 1 of offsets: "earliest", "latest" or milliseconds. `text` has room for an
 * integer. */
static struct uk_slice read_timestamp(const struct uk_lua_arguments *arguments, char *text,
                                      size_t size)
{
  lua_State *L = arguments->L;
  const int index = uk_lua_argument_index(arguments, 1);
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, 1);
  if (lua_type(L, index) == LUA_TNUMBER) {
    int64_t timestamp = uk_lua_argument_integer(arguments, 1, "timestamp", INT64_MAX);
    return uk_slice_of(text, (size_t)snprintf(text, size, "%lld", (long long)timestamp));
  }
  struct uk_slice word = {NULL, 0};
  if (lua_type(L, index) == LUA_TSTRING)
    word = uk_lua_stack_text(L, index, &blame, "timestamp");
  if (!uk_slice_is(word, "earliest") && !uk_slice_is(word, "latest"))
    uk_lua_misuse(L, &blame, "timestamp", "integer, \"earliest\" or \"latest\" expected, got %s",
                  word.data != NULL ? "another string" : luaL_typename(L, index));
  return word;
}

void uk_lua_build_offsets(const struct uk_lua_arguments *arguments)
{
  struct uk_lua_batch_options options = {-1, -1, -1};
  char text[24];
  struct uk_slice timestamp = read_timestamp(arguments, text, sizeof text);
  uk_lua_argument_options(arguments, 3, timeout_rows, &options);
  uk_client_request_begin(arguments->request, UK_ENDPOINT_OFFSETS, arguments->binary, &timestamp);
  uk_lua_add_query_timeout(arguments, options.timeout);
  uk_lua_add_partitions(arguments, 2, "partitions", UK_PLACES_PARTITIONS);
}
