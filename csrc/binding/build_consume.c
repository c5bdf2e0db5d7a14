#include "binding/build.h"
#include "client/response_notes.h"

struct consume_options {
  struct uk_lua_batch_options batch;
  int64_t auto_commit_interval, session_timeout;
  bool auto_commit;
  int offset_reset;
  struct uk_lua_batch_headers headers;
};

struct batch_options {
  struct uk_lua_batch_headers headers;
};

static const char *const offset_resets[] = {"latest", "earliest", "none", NULL};

/* Positions of rows in the bits that uk_lua_argument_options returns. */
enum { SEEN_AUTO_COMMIT = 1, SEEN_OFFSET_RESET = 2 };
static const struct uk_lua_option consume_rows[] = {
  {"auto_commit", UK_OPTION_BOOLEAN, false, offsetof(struct consume_options, auto_commit), 0, 0,
   NULL},
  {"auto_offset_reset", UK_OPTION_CHOICE, false, offsetof(struct consume_options, offset_reset), 0,
   0, offset_resets},
  UK_INTEGER_ROW("auto_commit_interval", struct consume_options, auto_commit_interval, 1,
                 UK_AUTO_COMMIT_INTERVAL_MAX),
  UK_INTEGER_ROW("session_timeout", struct consume_options, session_timeout, UK_SESSION_TIMEOUT_MIN,
                 UK_SESSION_TIMEOUT_MAX),
  UK_BATCH_HEADER_ROWS(struct consume_options),
  {"commit", UK_OPTION_VALUE, false, 0, 0, 0, NULL},
  UK_BATCH_ROWS,
  {.name = NULL}};

static const struct uk_lua_option batch_rows[] = {UK_BATCH_HEADER_ROWS(struct batch_options),
                                                  {.name = NULL}};

static const struct uk_lua_option timeout_rows[] = {UK_TIMEOUT_ROW, {.name = NULL}};

/* Argument 3: a topic or a list of them. */
static void add_topics(const struct uk_lua_arguments *arguments)
{
  lua_State *L = arguments->L;
  const int index = uk_lua_argument_index(arguments, 3);
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, 3);
  if (lua_type(L, index) != LUA_TTABLE) {
    uk_client_request_text(arguments->request, "topic",
                           uk_lua_argument_name(arguments, 3, "topic"));
    return;
  }
  const size_t count = uk_lua_rawlen(L, index);
  if (count == 0)
    uk_lua_misuse(L, &blame, "topics", "at least one topic expected");
  blame.list = "topics";
  uk_client_request_field_list(arguments->request, "topics");
  for (blame.index = 1; blame.index <= count; blame.index++) {
    lua_rawgeti(L, index, (int)blame.index);
    if (lua_type(L, -1) != LUA_TSTRING)
      uk_lua_misuse_type(L, &blame, NULL, "string", -1);
    struct uk_slice topic = uk_lua_stack_text(L, -1, &blame, NULL);
    uk_client_request_element(arguments->request, "topic", topic);
    lua_pop(L, 1);
  }
  uk_client_request_list_end(arguments->request);
}

static void add_batch_header(const struct uk_lua_arguments *arguments, int number,
                             const char *option, const char *header, const char *id)
{
  const struct uk_lua_blame blame = uk_lua_argument_blame(arguments, number);
  if (id == NULL)
    return;
  if (!uk_batch_id_valid(uk_slice_text(id)))
    uk_lua_misuse(arguments->L, &blame, option, "the ID of a batch expected, got '%.64s'", id);
  uk_lua_add_header(arguments, header, id);
}

static void add_batch_headers(const struct uk_lua_arguments *arguments, int number,
                              const struct uk_lua_batch_headers *headers)
{
  add_batch_header(arguments, number, "ack", UK_HEADER_ACK, headers->ack);
  add_batch_header(arguments, number, "commit_batch", UK_HEADER_COMMIT, headers->commit_batch);
}

void uk_lua_build_consume(const struct uk_lua_arguments *arguments)
{
  lua_State *L = arguments->L;
  struct consume_options options = {{-1, -1, -1}, -1, -1, false, 0, {NULL, NULL}};
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, 4);
  lua_pushnil(L);
  const int commits = lua_gettop(L);
  const uint64_t seen = uk_lua_read_options(L, uk_lua_argument_index(arguments, 4), true,
                                            consume_rows, &options, commits, &blame);
  uk_lua_begin_group(arguments, UK_ENDPOINT_CONSUME);
  uk_lua_set_wait(arguments, options.batch.timeout, UK_CONSUME_TIMEOUT);
  if (seen & SEEN_AUTO_COMMIT)
    uk_lua_add_header(arguments, UK_HEADER_AUTO_COMMIT, options.auto_commit ? "true" : "false");
  uk_lua_add_header_integer(arguments, UK_HEADER_AUTO_COMMIT_INTERVAL,
                            options.auto_commit_interval);
  if (seen & SEEN_OFFSET_RESET)
    uk_lua_add_header(arguments, UK_HEADER_OFFSET_RESET, offset_resets[options.offset_reset]);
  uk_lua_add_header_integer(arguments, UK_HEADER_SESSION_TIMEOUT, options.session_timeout);
  add_batch_headers(arguments, 4, &options.headers);
  uk_client_request_object(arguments->request);
  add_topics(arguments);
  uk_lua_add_batch(arguments, &options.batch);
  if (!lua_isnil(L, commits)) {
    uk_client_request_name(arguments->request, "commit");
    uk_lua_add_places(arguments, commits, blame, "commit", UK_PLACES_FETCH);
  }
  uk_client_request_object_end(arguments->request);
}

/* Reads the options in argument `number` and adds the headers that they name. */
static void add_batch_options(const struct uk_lua_arguments *arguments, int number)
{
  struct batch_options options = {{NULL, NULL}};
  uk_lua_argument_options(arguments, number, batch_rows, &options);
  add_batch_headers(arguments, number, &options.headers);
}

void uk_lua_build_commit(const struct uk_lua_arguments *arguments)
{
  uk_lua_begin_group(arguments, UK_ENDPOINT_COMMIT);
  add_batch_options(arguments, 4);
  if (!uk_lua_argument_absent(arguments, 3))
    uk_lua_add_partitions(arguments, 3, "offsets", UK_PLACES_OFFSETS);
}

void uk_lua_build_committed(const struct uk_lua_arguments *arguments)
{
  struct uk_lua_batch_options options = {-1, -1, -1};
  uk_lua_argument_options(arguments, 4, timeout_rows, &options);
  uk_lua_begin_group(arguments, UK_ENDPOINT_COMMITTED);
  uk_lua_add_query_timeout(arguments, options.timeout);
  uk_lua_add_partitions(arguments, 3, "partitions", UK_PLACES_PARTITIONS);
}

void uk_lua_build_delete_consumer(const struct uk_lua_arguments *arguments)
{
  uk_lua_begin_group(arguments, UK_ENDPOINT_DELETE_CONSUMER);
  add_batch_options(arguments, 3);
}

void uk_lua_build_consumers(const struct uk_lua_arguments *arguments)
{
  uk_lua_begin(arguments, UK_ENDPOINT_CONSUMERS);
}
