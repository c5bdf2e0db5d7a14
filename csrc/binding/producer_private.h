/* producer_private: what the producer's files share. */
#ifndef UK_PRODUCER_PRIVATE_H
#define UK_PRODUCER_PRIVATE_H

#include "binding/compat.h"
#include "client/sender/sender_registry.h"
#include "common/protocol.h"

struct uk_lua_producer {
  struct uk_sender *sender; /* NULL before the first send, and after a fork until the next one */
  unsigned generation;      /* uk_registry_generation() when `sender` was acquired */
  uint64_t reported; /* messages given up that flush has reported, or from before this producer */
  bool closed;
  struct uk_settings settings;
  struct uk_sender_options options;
  char topic[UK_TOPIC_NAME_MAX + 1]; /* "" = none */
};

/* Returns the producer at stack index 1. */
struct uk_lua_producer *uk_lua_to_producer(lua_State *L);

/* The same, but raises if it is closed. */
struct uk_lua_producer *uk_lua_check_producer(lua_State *L);

/* Returns the sender; NULL before the first send or after a fork. */
struct uk_sender *uk_lua_producer_sender(struct uk_lua_producer *producer);

/* producer_send.c: producer:send(topic, value, options) */
int uk_lua_producer_send(lua_State *L);

/* producer_outcome.c: pushes what flush and close return, and returns the number of values. True
 * when no message was given up since the last report and none is pending. `timeout`, in
 * milliseconds, is for the message. */
int uk_lua_producer_outcome(lua_State *L, struct uk_lua_producer *producer,
                            struct uk_sender *sender, uint64_t pending, int64_t timeout);

/* producer_report.c: producer:stats() and producer:failures() */
void uk_lua_producer_report_register(lua_State *L);
int uk_lua_producer_stats(lua_State *L);
int uk_lua_producer_failures(lua_State *L);

#endif
