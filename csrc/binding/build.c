#include "binding/build.h"

void uk_lua_begin(const struct uk_lua_arguments *arguments, enum uk_endpoint endpoint)
{
  uk_client_request_begin(arguments->request, endpoint, arguments->binary, NULL);
}

void uk_lua_begin_group(const struct uk_lua_arguments *arguments, enum uk_endpoint endpoint)
{
  struct uk_slice parameters[] = {uk_lua_argument_name(arguments, 1, "group"),
                                  uk_lua_argument_name(arguments, 2, "instance")};
  uk_client_request_begin(arguments->request, endpoint, arguments->binary, parameters);
}

void uk_lua_begin_topic(const struct uk_lua_arguments *arguments, enum uk_endpoint endpoint)
{
  struct uk_slice topic = uk_lua_argument_name(arguments, 1, "topic");
  uk_client_request_begin(arguments->request, endpoint, arguments->binary, &topic);
}

uint64_t uk_lua_argument_options(const struct uk_lua_arguments *arguments, int number,
                                 const struct uk_lua_option *rows, void *options)
{
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, number);
  return uk_lua_read_options(arguments->L, uk_lua_argument_index(arguments, number), true, rows,
                             options, 0, &blame);
}

int64_t uk_lua_argument_integer(const struct uk_lua_arguments *arguments, int number,
                                const char *name, int64_t max)
{
  int64_t value = 0;
  const struct uk_lua_option row = {name, UK_OPTION_INTEGER, true, 0, 0, max, NULL};
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, number);
  uk_lua_read_option(arguments->L, uk_lua_argument_index(arguments, number), &row, &value, 0,
                     &blame);
  return value;
}

void uk_lua_add_integer(const struct uk_lua_arguments *arguments, const char *name, int64_t value)
{
  if (value >= 0)
    uk_client_request_integer(arguments->request, name, value);
}

void uk_lua_add_header_integer(const struct uk_lua_arguments *arguments, const char *name,
                               int64_t value)
{
  if (value >= 0)
    uk_client_request_header_integer(arguments->request, name, value);
}

void uk_lua_add_header(const struct uk_lua_arguments *arguments, const char *name,
                       const char *value)
{
  uk_client_request_header(arguments->request, uk_slice_text(name), uk_slice_text(value));
}

void uk_lua_add_batch(const struct uk_lua_arguments *arguments,
                      const struct uk_lua_batch_options *options)
{
  uk_lua_add_integer(arguments, "timeout", options->timeout);
  uk_lua_add_integer(arguments, "max_messages", options->max_messages);
  uk_lua_add_integer(arguments, "max_bytes", options->max_bytes);
}

void uk_lua_set_wait(const struct uk_lua_arguments *arguments, int64_t timeout, int64_t otherwise)
{
  arguments->request->wait = timeout >= 0 ? timeout : otherwise;
}

void uk_lua_add_query_timeout(const struct uk_lua_arguments *arguments, int64_t timeout)
{
  uk_lua_set_wait(arguments, timeout, UK_OFFSETS_TIMEOUT);
  if (timeout >= 0)
    uk_client_request_query_integer(arguments->request, "timeout", timeout);
}
