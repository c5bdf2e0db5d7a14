#include "binding/build.h"

void uk_begin(const struct uk_arguments *arguments, enum uk_endpoint endpoint)
{
  uk_client_request_begin(arguments->request, endpoint, arguments->binary, NULL);
}

void uk_begin_group(const struct uk_arguments *arguments, enum uk_endpoint endpoint)
{
  struct uk_slice parameters[] = {uk_argument_name(arguments, 1, "group"),
                                  uk_argument_name(arguments, 2, "instance")};
  uk_client_request_begin(arguments->request, endpoint, arguments->binary, parameters);
}

void uk_begin_topic(const struct uk_arguments *arguments, enum uk_endpoint endpoint)
{
  struct uk_slice topic = uk_argument_name(arguments, 1, "topic");
  uk_client_request_begin(arguments->request, endpoint, arguments->binary, &topic);
}

uint64_t uk_read_options(const struct uk_arguments *arguments, int number,
                         const struct uk_option *rows, void *options)
{
  struct uk_blame blame = uk_argument_blame(arguments, number);
  return uk_options_read(arguments->L, uk_argument(arguments, number), true, rows, options, 0,
                         &blame);
}

int64_t uk_read_integer_argument(const struct uk_arguments *arguments, int number, const char *name,
                                 int64_t max)
{
  int64_t value = 0;
  const struct uk_option row = {name, UK_OPTION_INTEGER, true, 0, 0, max, NULL};
  struct uk_blame blame = uk_argument_blame(arguments, number);
  uk_option_read_value(arguments->L, uk_argument(arguments, number), &row, &value, 0, &blame);
  return value;
}

void uk_add_integer(const struct uk_arguments *arguments, const char *name, int64_t value)
{
  if (value >= 0)
    uk_client_request_integer(arguments->request, name, value);
}

void uk_add_header_integer(const struct uk_arguments *arguments, const char *name, int64_t value)
{
  if (value >= 0)
    uk_client_request_header_integer(arguments->request, name, value);
}

void uk_add_header(const struct uk_arguments *arguments, const char *name, const char *value)
{
  uk_client_request_header(arguments->request, uk_slice_text(name), uk_slice_text(value));
}

void uk_add_batch(const struct uk_arguments *arguments, const struct uk_batch_options *options)
{
  uk_add_integer(arguments, "timeout", options->timeout);
  uk_add_integer(arguments, "max_messages", options->max_messages);
  uk_add_integer(arguments, "max_bytes", options->max_bytes);
}

void uk_set_wait(const struct uk_arguments *arguments, int64_t timeout, int64_t otherwise)
{
  arguments->request->wait = timeout >= 0 ? timeout : otherwise;
}

void uk_add_query_timeout(const struct uk_arguments *arguments, int64_t timeout)
{
  uk_set_wait(arguments, timeout, UK_OFFSETS_TIMEOUT);
  if (timeout >= 0)
    uk_client_request_query_integer(arguments->request, "timeout", timeout);
}
