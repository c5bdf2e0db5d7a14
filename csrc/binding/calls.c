#include "binding/calls.h"

#include <stdio.h>
#include <strings.h>

#include "binding/message.h"

/* ---- options ---- */

struct call_options {
  int64_t timeout, max_messages, max_bytes; /* -1 = absent, as all integers here */
  int64_t auto_commit_interval, session_timeout;
  int64_t partitions, retention_ms, retention_bytes;
  bool auto_commit;
  int offset_reset;
};

#define OPTION(name, type, member, min, max, choices)                                             \
  {name, type, false, offsetof(struct call_options, member), min, max, choices}
#define INTEGER_OPTION(name, member, min, max)                                                    \
  OPTION(name, UK_OPTION_INTEGER, member, min, max, NULL)

#define TIMEOUT_ROW INTEGER_OPTION("timeout", timeout, 0, UK_TIMEOUT_MAX)
#define BATCH_ROWS                                                                                \
  TIMEOUT_ROW, INTEGER_OPTION("max_messages", max_messages, 1, UK_BATCH_MESSAGES_MAX),            \
    INTEGER_OPTION("max_bytes", max_bytes, 1, UK_BATCH_BYTES_MAX)

static const char *const offset_resets[] = {"latest", "earliest", "none", NULL};

static const struct uk_option timeout_rows[] = {TIMEOUT_ROW, {.name = NULL}};

static const struct uk_option fetch_rows[] = {BATCH_ROWS, {.name = NULL}};

/* The rows whose presence `seen` tells are told apart by position. */
enum { SEEN_AUTO_COMMIT = 1, SEEN_OFFSET_RESET = 2 };
static const struct uk_option consume_rows[] = {
  OPTION("auto_commit", UK_OPTION_BOOLEAN, auto_commit, 0, 0, NULL),
  OPTION("auto_offset_reset", UK_OPTION_CHOICE, offset_reset, 0, 0, offset_resets),
  INTEGER_OPTION("auto_commit_interval", auto_commit_interval, 1, UK_AUTO_COMMIT_INTERVAL_MAX),
  INTEGER_OPTION("session_timeout", session_timeout, UK_SESSION_TIMEOUT_MIN, UK_SESSION_TIMEOUT_MAX),
  BATCH_ROWS,
  {.name = NULL}};

/* A retention of -1 is one without end, so absence is seen, not told by the value. */
enum { SEEN_RETENTION_MS = 1, SEEN_RETENTION_BYTES = 2 };
static const struct uk_option create_topic_rows[] = {
  INTEGER_OPTION("retention_ms", retention_ms, -1, INT64_MAX),
  INTEGER_OPTION("retention_bytes", retention_bytes, -1, INT64_MAX),
  INTEGER_OPTION("partitions", partitions, 1, INT32_MAX),
  {.name = NULL}};

static uint64_t read_options(const struct uk_arguments *arguments, int number,
                             const struct uk_option *rows, struct call_options *options)
{
  struct uk_blame blame = uk_argument_blame(arguments, number);
  *options = (struct call_options){-1, -1, -1, -1, -1, -1, -1, -1, false, 0};
  return uk_options_read(arguments->L, uk_argument(arguments, number), true, rows, options, 0, &blame);
}

/* ---- parts ---- */

static void begin(const struct uk_arguments *arguments, enum uk_endpoint endpoint,
                  const struct uk_slice *parameters)
{
  uk_client_request_begin(arguments->request, endpoint, arguments->binary, parameters);
}

static void begin_group(const struct uk_arguments *arguments, enum uk_endpoint endpoint)
{
  struct uk_slice parameters[] = {uk_argument_name(arguments, 1, "group"),
                                  uk_argument_name(arguments, 2, "instance")};
  begin(arguments, endpoint, parameters);
}

static void begin_topic(const struct uk_arguments *arguments, enum uk_endpoint endpoint)
{
  struct uk_slice topic = uk_argument_name(arguments, 1, "topic");
  begin(arguments, endpoint, &topic);
}

/* How long the server may take beyond the client's own timeout. */
static void set_wait(const struct uk_arguments *arguments, const struct call_options *options,
                     int64_t otherwise)
{
  arguments->request->wait = options->timeout >= 0 ? options->timeout : otherwise;
}

static void add_integer(const struct uk_arguments *arguments, const char *name, int64_t value)
{
  if (value >= 0)
    uk_client_request_integer(arguments->request, name, value);
}

static void add_batch(const struct uk_arguments *arguments, const struct call_options *options)
{
  add_integer(arguments, "timeout", options->timeout);
  add_integer(arguments, "max_messages", options->max_messages);
  add_integer(arguments, "max_bytes", options->max_bytes);
}

static void add_header(const struct uk_arguments *arguments, const char *name, const char *value)
{
  uk_client_request_header(arguments->request, uk_slice_text(name), uk_slice_text(value));
}

static void add_header_integer(const struct uk_arguments *arguments, const char *name, int64_t value)
{
  if (value >= 0)
    uk_client_request_header_integer(arguments->request, name, value);
}

/* ---- produce ---- */

static void build_produce(const struct uk_arguments *arguments)
{
  begin_topic(arguments, UK_ENDPOINT_PRODUCE_TOPIC);
  uk_add_message(arguments);
}

static void build_produce_many(const struct uk_arguments *arguments)
{
  lua_State *L = arguments->L;
  if (lua_type(L, uk_argument(arguments, 1)) == LUA_TTABLE && uk_argument_absent(arguments, 2)) {
    begin(arguments, UK_ENDPOINT_PRODUCE, NULL);
    uk_add_messages(arguments, 1, true);
    return;
  }
  begin_topic(arguments, UK_ENDPOINT_PRODUCE_TOPIC);
  uk_add_messages(arguments, 2, false);
}

static const struct uk_option webhook_rows[] = {
  {"headers", UK_OPTION_VALUE, false, 0, 0, 0, NULL}, {.name = NULL}};

/* What belongs to the transport and the credentials. */
static const char *const reserved_headers[] = {
  "Authorization", "Connection", "Content-Encoding", "Content-Length", "Expect", "Host",
  "Keep-Alive", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", NULL};

static void check_header(const struct uk_arguments *arguments, struct uk_slice name,
                         struct uk_slice value, const struct uk_blame *blame)
{
  lua_State *L = arguments->L;
  if (!uk_header_name_valid(name))
    uk_misuse(L, blame, "headers", "'%.64s' is no name of an HTTP header", name.data);
  if (!uk_header_value_valid(value))
    uk_misuse(L, blame, "headers", "%s: a control character in the value", name.data);
  for (const char *const *reserved = reserved_headers; *reserved != NULL; reserved++)
    if (strcasecmp(name.data, *reserved) == 0)
      uk_misuse(L, blame, "headers", "%s: not for the caller to set", name.data);
}

/* The map at `index`. Returns whether it names a Content-Type. */
static bool add_webhook_headers(const struct uk_arguments *arguments, int index,
                                const struct uk_blame *blame)
{
  lua_State *L = arguments->L;
  bool typed = false;
  if (lua_type(L, index) != LUA_TTABLE)
    uk_misuse_type(L, blame, "headers", "table", index);
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      uk_misuse(L, blame, "headers", "names are strings, got a %s", luaL_typename(L, -2));
    struct uk_slice name, value = uk_slot_text(L, lua_gettop(L), blame, "headers");
    name.data = lua_tolstring(L, -2, &name.length);
    check_header(arguments, name, value, blame);
    typed = typed || strcasecmp(name.data, "Content-Type") == 0;
    uk_client_request_header(arguments->request, name, value);
  }
  return typed;
}

static void build_webhook(const struct uk_arguments *arguments)
{
  lua_State *L = arguments->L;
  struct uk_slice topic = uk_argument_name(arguments, 1, "topic");
  struct uk_blame blame = uk_argument_blame(arguments, 2);
  struct uk_slice body = uk_slot_text(L, uk_argument(arguments, 2), &blame, "body");
  begin(arguments, UK_ENDPOINT_WEBHOOK, NULL);
  uk_client_request_query(arguments->request, "topic", topic);
  uk_client_request_raw(arguments->request, body);
  blame.argument = 3;
  lua_pushnil(L);
  int headers = lua_gettop(L);
  uk_options_read(L, uk_argument(arguments, 3), true, webhook_rows, NULL, headers, &blame);
  bool typed = !lua_isnil(L, headers) && add_webhook_headers(arguments, headers, &blame);
  if (!typed && body.length > 0)
    add_header(arguments, "Content-Type", "application/octet-stream");
}

/* ---- consume ---- */

/* Argument 3: a topic or a list of them. */
static void add_topics(const struct uk_arguments *arguments)
{
  lua_State *L = arguments->L;
  const int index = uk_argument(arguments, 3);
  struct uk_blame blame = uk_argument_blame(arguments, 3);
  if (lua_type(L, index) != LUA_TTABLE) {
    uk_client_request_text(arguments->request, "topic", uk_argument_name(arguments, 3, "topic"));
    return;
  }
  const size_t count = uk_lua_rawlen(L, index);
  if (count == 0)
    uk_misuse(L, &blame, "topics", "at least one topic expected");
  blame.list = "topics";
  uk_client_request_field_list(arguments->request, "topics");
  for (blame.index = 1; blame.index <= count; blame.index++) {
    lua_rawgeti(L, index, (int)blame.index);
    if (lua_type(L, -1) != LUA_TSTRING)
      uk_misuse_type(L, &blame, NULL, "string", -1);
    struct uk_slice topic = uk_slot_text(L, -1, &blame, NULL);
    uk_client_request_element(arguments->request, "topic", topic);
    lua_pop(L, 1);
  }
  uk_client_request_list_end(arguments->request);
}

static void build_consume(const struct uk_arguments *arguments)
{
  struct call_options options;
  uint64_t seen = read_options(arguments, 4, consume_rows, &options);
  begin_group(arguments, UK_ENDPOINT_CONSUME);
  set_wait(arguments, &options, UK_CONSUME_TIMEOUT);
  if (seen & SEEN_AUTO_COMMIT)
    add_header(arguments, UK_HEADER_AUTO_COMMIT, options.auto_commit ? "true" : "false");
  add_header_integer(arguments, UK_HEADER_AUTO_COMMIT_INTERVAL, options.auto_commit_interval);
  if (seen & SEEN_OFFSET_RESET)
    add_header(arguments, UK_HEADER_OFFSET_RESET, offset_resets[options.offset_reset]);
  add_header_integer(arguments, UK_HEADER_SESSION_TIMEOUT, options.session_timeout);
  uk_client_request_object(arguments->request);
  add_topics(arguments);
  add_batch(arguments, &options);
  uk_client_request_object_end(arguments->request);
}

static void build_commit(const struct uk_arguments *arguments)
{
  begin_group(arguments, UK_ENDPOINT_COMMIT);
  if (!uk_argument_absent(arguments, 3))
    uk_add_partitions(arguments, 3, "offsets", true);
}

static void build_committed(const struct uk_arguments *arguments)
{
  struct call_options options;
  read_options(arguments, 4, timeout_rows, &options);
  begin_group(arguments, UK_ENDPOINT_COMMITTED);
  set_wait(arguments, &options, UK_OFFSETS_TIMEOUT);
  if (options.timeout >= 0)
    uk_client_request_query_integer(arguments->request, "timeout", options.timeout);
  uk_add_partitions(arguments, 3, "partitions", false);
}

static void build_delete_consumer(const struct uk_arguments *arguments)
{
  begin_group(arguments, UK_ENDPOINT_DELETE_CONSUMER);
}

static void build_consumers(const struct uk_arguments *arguments)
{
  begin(arguments, UK_ENDPOINT_CONSUMERS, NULL);
}

/* ---- fetch and metadata ---- */

static int64_t read_integer(const struct uk_arguments *arguments, int number, const char *name, int64_t max)
{
  int64_t value = 0;
  const struct uk_option row = {name, UK_OPTION_INTEGER, true, 0, 0, max, NULL};
  struct uk_blame blame = uk_argument_blame(arguments, number);
  uk_option_read_value(arguments->L, uk_argument(arguments, number), &row, &value, 0, &blame);
  return value;
}

static void build_fetch(const struct uk_arguments *arguments)
{
  struct uk_client_request *request = arguments->request;
  struct call_options options;
  bool many = lua_type(arguments->L, uk_argument(arguments, 1)) == LUA_TTABLE;
  read_options(arguments, many ? 2 : 4, fetch_rows, &options);
  begin(arguments, UK_ENDPOINT_FETCH, NULL);
  set_wait(arguments, &options, UK_FETCH_TIMEOUT);
  uk_client_request_object(request);
  if (many) {
    uk_client_request_name(request, "topicPartitionOffsets");
    uk_add_partitions(arguments, 1, "offsets", true);
  } else {
    uk_client_request_text(request, "topic", uk_argument_name(arguments, 1, "topic"));
    add_integer(arguments, "partition", read_integer(arguments, 2, "partition", INT32_MAX));
    add_integer(arguments, "offset", read_integer(arguments, 3, "offset", INT64_MAX));
  }
  add_batch(arguments, &options);
  uk_client_request_object_end(request);
}

/* Argument 1 of offsets: "earliest", "latest" or milliseconds; `text` has room for an integer. */
static struct uk_slice read_timestamp(const struct uk_arguments *arguments, char *text, size_t size)
{
  lua_State *L = arguments->L;
  const int index = uk_argument(arguments, 1);
  struct uk_blame blame = uk_argument_blame(arguments, 1);
  if (lua_type(L, index) == LUA_TNUMBER) {
    int64_t timestamp = read_integer(arguments, 1, "timestamp", INT64_MAX);
    return uk_slice_of(text, (size_t)snprintf(text, size, "%lld", (long long)timestamp));
  }
  struct uk_slice word = {NULL, 0};
  if (lua_type(L, index) == LUA_TSTRING)
    word = uk_slot_text(L, index, &blame, "timestamp");
  if (!uk_slice_is(word, "earliest") && !uk_slice_is(word, "latest"))
    uk_misuse(L, &blame, "timestamp", "integer, \"earliest\" or \"latest\" expected, got %s",
              word.data != NULL ? "another string" : luaL_typename(L, index));
  return word;
}

static void build_offsets(const struct uk_arguments *arguments)
{
  struct call_options options;
  char text[24];
  struct uk_slice timestamp = read_timestamp(arguments, text, sizeof text);
  read_options(arguments, 3, timeout_rows, &options);
  begin(arguments, UK_ENDPOINT_OFFSETS, &timestamp);
  set_wait(arguments, &options, UK_OFFSETS_TIMEOUT);
  if (options.timeout >= 0)
    uk_client_request_query_integer(arguments->request, "timeout", options.timeout);
  uk_add_partitions(arguments, 2, "partitions", false);
}

static void build_topics(const struct uk_arguments *arguments)
{
  begin(arguments, UK_ENDPOINT_TOPICS, NULL);
}

static void build_create_topic(const struct uk_arguments *arguments)
{
  struct call_options options;
  uint64_t seen = read_options(arguments, 2, create_topic_rows, &options);
  begin_topic(arguments, UK_ENDPOINT_CREATE_TOPIC);
  uk_client_request_object(arguments->request);
  add_integer(arguments, "partitions", options.partitions);
  if (seen & SEEN_RETENTION_MS)
    uk_client_request_integer(arguments->request, "retention_ms", options.retention_ms);
  if (seen & SEEN_RETENTION_BYTES)
    uk_client_request_integer(arguments->request, "retention_bytes", options.retention_bytes);
  uk_client_request_object_end(arguments->request);
}

static void build_delete_topic(const struct uk_arguments *arguments)
{
  begin_topic(arguments, UK_ENDPOINT_DELETE_TOPIC);
}

static void build_health(const struct uk_arguments *arguments)
{
  begin(arguments, UK_ENDPOINT_HEALTH, NULL);
}

/* ---- the table ---- */

/* A consume, once its answer is lost, has moved the positions; a second delete answers 404. */
const struct uk_call_row uk_calls[] = {
  {"produce", 3, build_produce, uk_decode_metadata_one, UK_RETRY_UNSENT},
  {"produce_many", 2, build_produce_many, uk_decode_metadata_list, UK_RETRY_UNSENT},
  {"webhook", 3, build_webhook, uk_decode_metadata, UK_RETRY_UNSENT},
  {"consume", 4, build_consume, uk_decode_messages, UK_RETRY_UNSENT},
  {"commit", 3, build_commit, uk_decode_success, UK_RETRY_SAFE},
  {"committed", 4, build_committed, uk_decode_offsets, UK_RETRY_SAFE},
  {"delete_consumer", 2, build_delete_consumer, uk_decode_success, UK_RETRY_UNSENT},
  {"consumers", 0, build_consumers, uk_decode_list, UK_RETRY_SAFE},
  {"fetch", 4, build_fetch, uk_decode_messages, UK_RETRY_SAFE},
  {"offsets", 3, build_offsets, uk_decode_offsets, UK_RETRY_SAFE},
  {"topics", 0, build_topics, uk_decode_topics, UK_RETRY_SAFE},
  {"create_topic", 2, build_create_topic, uk_decode_topic, UK_RETRY_SAFE},
  {"delete_topic", 1, build_delete_topic, uk_decode_success, UK_RETRY_UNSENT},
  {"health", 0, build_health, uk_decode_object, UK_RETRY_NEVER},
  {NULL, 0, NULL, NULL, UK_RETRY_NEVER}};

const struct uk_call_row *uk_find_call(const char *name)
{
  for (const struct uk_call_row *row = uk_calls; row->name != NULL; row++)
    if (strcmp(row->name, name) == 0)
      return row;
  return NULL;
}
