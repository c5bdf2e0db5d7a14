#include <stdlib.h>

#include "binding/producer_private.h"
#include "client/sender/sender_record.h"

#define FAILURES_TYPE "upstash.kafka.failures"

/* Stats. */

static void set_count(lua_State *L, const char *name, uint64_t count)
{
  if (!uk_lua_push_integer(L, (int64_t)count))
    lua_pushnumber(L, (lua_Number)count);
  lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double number)
{
  lua_pushnumber(L, (lua_Number)number);
  lua_setfield(L, -2, name);
}

static void push_counts(lua_State *L, const struct uk_sender_stats *stats)
{
  const struct {
    const char *name;
    uint64_t count;
  } rows[] = {
    {"sent", stats->sent},       {"delivered", stats->delivered}, {"failed", stats->failed},
    {"dropped", stats->dropped}, {"refused", stats->refused},     {"lost", stats->lost},
    {"retried", stats->retried}, {"requests", stats->requests},   {"queued", stats->queued},
    {"bytes", stats->bytes},     {"in_flight", stats->in_flight},
  };
  lua_createtable(L, 0, sizeof rows / sizeof *rows + 2);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    set_count(L, rows[i].name, rows[i].count);
}

int uk_lua_producer_stats(lua_State *L)
{
  struct uk_sender_stats stats = {.sent = 0};
  struct uk_sender *sender = uk_lua_producer_sender(uk_lua_to_producer(L));
  if (sender != NULL)
    uk_sender_stats(sender, &stats);
  push_counts(L, &stats);
  if (stats.trouble[0] != '\0') {
    lua_pushstring(L, stats.trouble);
    lua_setfield(L, -2, "trouble");
  }
  lua_createtable(L, 0, 4);
  set_number(L, "mean", stats.latency_mean);
  set_number(L, "p50", stats.latency_p50);
  set_number(L, "p99", stats.latency_p99);
  set_number(L, "max", stats.latency_max);
  lua_setfield(L, -2, "latency");
  return 1;
}

/* Failures. */

/* The failures that are not yet in a table belong to a userdata, since making tables may raise. */

static struct uk_sender_failure *first_failure(const struct uk_list *failures)
{
  return UK_LIST_FIRST(failures, struct uk_sender_failure, link);
}

static void free_failure(struct uk_sender_failure *failure)
{
  uk_list_remove(&failure->link);
  free(failure);
}

static int collect(lua_State *L)
{
  struct uk_list *failures = luaL_checkudata(L, 1, FAILURES_TYPE);
  for (struct uk_sender_failure *failure; (failure = first_failure(failures)) != NULL;)
    free_failure(failure);
  return 0;
}

void uk_lua_producer_report_register(lua_State *L)
{
  static const luaL_Reg metamethods[] = {{"__gc", collect}, {NULL, NULL}};
  lua_newtable(L);
  uk_lua_newtype(L, FAILURES_TYPE, metamethods);
  lua_pop(L, 1);
}

static void set_bytes(lua_State *L, const char *name, struct uk_slice bytes)
{
  lua_pushlstring(L, bytes.data, bytes.length);
  lua_setfield(L, -2, name);
}

static void set_headers(lua_State *L, struct uk_slice headers)
{
  struct uk_slice key, value;
  lua_newtable(L);
  for (int i = 1; uk_sender_header_next(&headers, &key, &value); i++) {
    lua_createtable(L, 0, 2);
    set_bytes(L, "key", key);
    set_bytes(L, "value", value);
    lua_rawseti(L, -2, i);
  }
  lua_setfield(L, -2, "headers");
}

/* Pushes the message as produce_many takes it. */
static void push_message(lua_State *L, const struct uk_sender_record *record)
{
  struct uk_message message;
  const struct uk_slice headers = uk_sender_record_read(record, &message);
  lua_createtable(L, 0, 6);
  set_bytes(L, "topic", message.topic);
  if (message.value.data != NULL)
    lua_pushlstring(L, message.value.data, message.value.length);
  else
    lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "value");
  if (message.key.data != NULL)
    set_bytes(L, "key", message.key);
  if (headers.length > 0)
    set_headers(L, headers);
  if (message.partition >= 0)
    set_count(L, "partition", (uint64_t)message.partition);
  set_count(L, "timestamp", (uint64_t)message.timestamp);
}

static void push_failure(lua_State *L, const struct uk_sender_failure *failure)
{
  lua_createtable(L, 0, 5);
  push_message(L, uk_sender_failure_record(failure));
  lua_setfield(L, -2, "message");
  lua_pushstring(L, failure->text[0] != '\0' ? failure->text : uk_error_text(failure->error));
  lua_setfield(L, -2, "error");
  lua_pushstring(L, uk_error_word(failure->error));
  lua_setfield(L, -2, "code");
  lua_pushboolean(L, uk_error_retriable(failure->error));
  lua_setfield(L, -2, "retriable");
  if (failure->status != 0)
    set_count(L, "status", (uint64_t)failure->status);
}

int uk_lua_producer_failures(lua_State *L)
{
  uint64_t dropped = 0;
  struct uk_lua_producer *producer = uk_lua_to_producer(L);
  lua_newtable(L);
  struct uk_list *failures = lua_newuserdata(L, sizeof *failures);
  *failures = (struct uk_list){.head = {NULL, NULL}};
  luaL_getmetatable(L, FAILURES_TYPE);
  lua_setmetatable(L, -2);
  struct uk_sender *sender = uk_lua_producer_sender(producer);
  if (sender != NULL)
    dropped = uk_sender_take_failures(sender, failures);
  struct uk_sender_failure *failure;
  for (int i = 1; (failure = first_failure(failures)) != NULL; i++) {
    push_failure(L, failure);
    lua_rawseti(L, -3, i);
    free_failure(failure);
  }
  lua_pop(L, 1);
  if (!uk_lua_push_integer(L, (int64_t)dropped))
    lua_pushnumber(L, (lua_Number)dropped);
  return 2;
}
