#include "binding/producer.h"

#include <stdio.h>

#include "binding/client.h"
#include "binding/call_memory.h"
#include "binding/options.h"
#include "binding/producer_private.h"
#include "binding/failure.h"
#include "common/clock.h"

#define PRODUCER_TYPE "upstash.kafka.producer"

enum {
  QUEUE_BYTES_MAX = 1 << 30,
  SENDER_BATCH_BYTES_MAX = UK_BODY_BYTES,
  MILLISECONDS_MAX = 86400000,
  LINGER_MAX = 60000
};

struct uk_lua_producer *uk_lua_to_producer(lua_State *L)
{
  return luaL_checkudata(L, 1, PRODUCER_TYPE);
}

struct uk_lua_producer *uk_lua_check_producer(lua_State *L)
{
  struct uk_lua_producer *producer = uk_lua_to_producer(L);
  if (producer->closed)
    luaL_error(L, "producer is closed");
  return producer;
}

struct uk_sender *uk_lua_producer_sender(struct uk_lua_producer *producer)
{
  if (producer->generation != uk_registry_generation())
    producer->sender = NULL; /* it belongs to the parent process */
  return producer->sender;
}

/* Creation. */

struct options {
  struct uk_sender_options sender;
  struct uk_slice topic, name;
};

static const char *const overflows[] = {"error", "block", "drop_oldest", NULL};

#define ROW(name, type, member, min, max, choices)                                                 \
  {                                                                                                \
    name, type, false, offsetof(struct options, member), min, max, choices                         \
  }
#define INTEGER(name, min, max) ROW(#name, UK_OPTION_INTEGER, sender.name, min, max, NULL)

static const struct uk_lua_option rows[] = {
  ROW("topic", UK_OPTION_STRING, topic, 0, 0, NULL),
  ROW("name", UK_OPTION_STRING, name, 0, 0, NULL),
  INTEGER(queue_bytes, UK_SENDER_QUEUE_BYTES_MIN, QUEUE_BYTES_MAX),
  INTEGER(batch_bytes, 1, SENDER_BATCH_BYTES_MAX),
  INTEGER(batch_messages, 1, UK_BATCH_MESSAGES_MAX),
  INTEGER(linger, 0, LINGER_MAX),
  INTEGER(in_flight, 1, UK_SENDER_IN_FLIGHT_MAX),
  INTEGER(message_timeout, 0, MILLISECONDS_MAX),
  INTEGER(give_up_after, 0, MILLISECONDS_MAX),
  INTEGER(block_timeout, 0, MILLISECONDS_MAX),
  INTEGER(flush_timeout, 0, UK_SENDER_FLUSH_MAX),
  ROW("overflow", UK_OPTION_CHOICE, sender.overflow, 0, 0, overflows),
  ROW("gzip", UK_OPTION_BOOLEAN, sender.gzip, 0, 0, NULL),
  ROW("log", UK_OPTION_BOOLEAN, sender.log, 0, 0, NULL),
  {.name = NULL}};

static void read_options(lua_State *L, int index, struct uk_lua_producer *producer)
{
  const struct uk_lua_blame blame = {.function = "producer", .argument = 1};
  struct options options = {.topic = {NULL, 0}};
  uk_sender_options_default(&options.sender);
  uk_lua_read_options(L, index, true, rows, &options, 0, &blame);
  if (options.topic.data != NULL && !uk_topic_name_valid(options.topic))
    uk_lua_misuse(L, &blame, "topic", "a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected");
  if (options.name.length > UK_SENDER_NAME_MAX)
    uk_lua_misuse(L, &blame, "name", "at most %d bytes expected", UK_SENDER_NAME_MAX);
  producer->options = options.sender;
  if (options.topic.length > 0)
    memcpy(producer->topic, options.topic.data, options.topic.length);
  if (options.name.length > 0)
    memcpy(producer->options.name, options.name.data, options.name.length);
}

/* A producer's companion table holds a call memory for headers and the client's encode function. */
static void set_companion(lua_State *L, int client, int producer)
{
  lua_createtable(L, UK_COMPANION_ENCODE, 0);
  uk_lua_get_companion(L, client);
  lua_rawgeti(L, -1, UK_COMPANION_ENCODE);
  lua_rawseti(L, -3, UK_COMPANION_ENCODE);
  lua_pop(L, 1);
  uk_lua_set_companion(L, producer);
}

int uk_lua_producer_new(lua_State *L)
{
  uk_lua_check_client(L);
  lua_settop(L, 2);
  struct uk_lua_producer *producer = lua_newuserdata(L, sizeof *producer);
  *producer = (struct uk_lua_producer){.sender = NULL};
  luaL_getmetatable(L, PRODUCER_TYPE);
  lua_setmetatable(L, -2);
  set_companion(L, 1, 3);
  read_options(L, 2, producer);
  if (!uk_settings_copy(&producer->settings, &uk_lua_check_client(L)->settings))
    return luaL_error(L, "%s", uk_error_text(UK_E_NO_MEMORY));
  return 1;
}

/* Flush. */

static int64_t read_milliseconds(lua_State *L, const char *function, int index, int64_t otherwise)
{
  static const struct uk_lua_option row = {"timeout", UK_OPTION_INTEGER, true, 0,
                                           0,         MILLISECONDS_MAX,  NULL};
  const struct uk_lua_blame blame = {.function = function, .argument = 1};
  int64_t timeout = otherwise;
  if (!lua_isnoneornil(L, index))
    uk_lua_read_option(L, index, &row, &timeout, 0, &blame);
  return timeout;
}

static int push_undelivered(lua_State *L, uint64_t messages, int64_t timeout)
{
  char text[128];
  snprintf(text, sizeof text, "%llu messages were not delivered within %lld ms",
           (unsigned long long)messages, (long long)timeout);
  return uk_lua_push_error(L, UK_E_TIMEOUT, text);
}

/* producer:flush(timeout, waited): `waited` is how long a caller that waits by itself has done
 * so. */
static int flush(lua_State *L)
{
  struct uk_lua_producer *producer = uk_lua_check_producer(L);
  struct uk_sender_stats stats = {.queued = 0};
  const int64_t timeout = read_milliseconds(L, "flush", 2, producer->settings.options.timeout);
  const int64_t shown = read_milliseconds(L, "flush", 3, timeout);
  const int64_t deadline = uk_clock_monotonic() + timeout;
  struct uk_sender *sender = uk_lua_producer_sender(producer);
  if (sender == NULL) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (!uk_sender_wait(sender, uk_sender_flush_start(sender), deadline))
    uk_sender_stats(sender, &stats);
  return uk_lua_producer_outcome(L, producer, sender, stats.queued + stats.in_flight, shown);
}

/* producer:hurry() -> mark */
static int hurry(lua_State *L)
{
  struct uk_sender *sender = uk_lua_producer_sender(uk_lua_check_producer(L));
  uk_lua_push_integer(L, sender != NULL ? (int64_t)uk_sender_flush_start(sender) : 0);
  return 1;
}

/* producer:settled(mark) */
static int settled(lua_State *L)
{
  static const struct uk_lua_option row = {"mark", UK_OPTION_INTEGER, true, 0, 0, INT64_MAX, NULL};
  const struct uk_lua_blame blame = {.function = "settled", .argument = 1};
  int64_t mark = 0;
  struct uk_sender *sender = uk_lua_producer_sender(uk_lua_to_producer(L));
  uk_lua_read_option(L, 2, &row, &mark, 0, &blame);
  lua_pushboolean(L, sender == NULL || uk_sender_is_flushed(sender, (uint64_t)mark));
  return 1;
}

/* Close. */

static void release(struct uk_lua_producer *producer)
{
  struct uk_sender *sender = uk_lua_producer_sender(producer);
  producer->sender = NULL;
  if (sender != NULL)
    uk_registry_release(sender);
}

/* producer:close(timeout, waited): as for flush. Keeps a stopped sender for its counts and
 * failures. */
static int close_producer(lua_State *L)
{
  struct uk_lua_producer *producer = uk_lua_to_producer(L);
  const int64_t timeout = read_milliseconds(L, "close", 2, producer->options.flush_timeout);
  const int64_t shown = read_milliseconds(L, "close", 3, timeout);
  struct uk_sender *sender = uk_lua_producer_sender(producer);
  const bool first = !producer->closed;
  producer->closed = true;
  if (!first || sender == NULL) {
    lua_pushboolean(L, 1);
    return 1;
  }
  bool stopped;
  const uint64_t lost = uk_registry_close(sender, timeout, &stopped);
  const int results = uk_lua_producer_outcome(L, producer, sender, lost, shown);
  if (!stopped)
    release(producer);
  return results;
}

/* __close: drops the error object that Lua passes. */
static int close_scope(lua_State *L)
{
  lua_settop(L, 1);
  return close_producer(L);
}

static int collect(lua_State *L)
{
  struct uk_lua_producer *producer = uk_lua_to_producer(L);
  producer->closed = true;
  release(producer);
  uk_settings_free(&producer->settings);
  return 0;
}

int uk_lua_close_producers(lua_State *L)
{
  const int64_t timeout = read_milliseconds(L, "close_producers", 1, UK_SENDER_FLUSH_MAX);
  const uint64_t lost = uk_registry_close_all(timeout);
  if (lost > 0)
    return push_undelivered(L, lost, timeout);
  lua_pushboolean(L, 1);
  return 1;
}

static int producer_text(lua_State *L)
{
  lua_pushstring(L, uk_lua_to_producer(L)->closed ? PRODUCER_TYPE " (closed)" : PRODUCER_TYPE);
  return 1;
}

void uk_lua_producer_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{"send", uk_lua_producer_send},
                                     {"flush", flush},
                                     {"hurry", hurry},
                                     {"settled", settled},
                                     {"stats", uk_lua_producer_stats},
                                     {"failures", uk_lua_producer_failures},
                                     {"close", close_producer},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
    {"__gc", collect}, {"__close", close_scope}, {"__tostring", producer_text}, {NULL, NULL}};
  uk_lua_producer_report_register(L);
  lua_newtable(L);
  uk_lua_setfuncs(L, methods);
  lua_pushvalue(L, -1);
  uk_lua_newtype(L, PRODUCER_TYPE, metamethods);
  lua_pop(L, 1);
}
