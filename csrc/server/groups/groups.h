/* groups: consumer groups for an engine that has none: live instances, their partitions, positions
 * and commits.
 *
 * Pure bookkeeping over a `uk_groups_log`: no thread, no clock, no I/O. The owner passes the time
 * (`now`, in monotonic milliseconds) with every call, calls uk_groups_tick when uk_groups_next_tick
 * says so, and calls uk_groups_wake when a partition has grown. Any thread may call.
 *
 * One lock guards the bookkeeping. `read`, `commit`, `is_client_alive`, `record` and `done` are
 * called without it, by the thread whose call made them due, before that call returns: a wake reads
 * and answers for every request that it wakes. `owned` of a uk_consumers is called under the lock,
 * and may not call groups. */
#ifndef UK_GROUPS_H
#define UK_GROUPS_H

#include "server/engine/engine.h"

/* What groups needs from the log below. Every function except `commit` answers at once, from memory
 * or the page cache. `partitions`, `bounds` and `committed` are called under the lock: they may not
 * call groups, nor wait for a thread that does. */
struct uk_groups_log {
  void *context;
  /* The number of partitions; 0 when the topic does not exist. `topic_id` distinguishes a topic
   * from a later one of the same name. */
  int32_t (*partitions)(void *context, struct uk_slice topic, uint64_t *topic_id);
  /* The first kept offset, and the end (one past the last). False when the topic or the partition
   * is gone. */
  bool (*bounds)(void *context, struct uk_slice topic, int32_t partition, int64_t *first,
                 int64_t *end);
  /* The group's committed offset; -1 when there is none. */
  enum uk_error (*committed)(void *context, struct uk_slice group, struct uk_slice topic,
                             int32_t partition, int64_t *offset);
  /* Starts committing; with `forward`, leaves an offset as it is where the group has committed a
   * higher one by then. Copies what it needs before it returns, and calls `then` once, possibly
   * before it returns, when the offsets are durable or refused; `message` is never NULL. With
   * GATEWAY_TIMEOUT they may still become durable, before those of any later call that does. One
   * thread calls at a time; commits take effect in the order of the calls. */
  void (*commit)(void *context, struct uk_slice group,
                 const struct uk_topic_partition_offset *offsets, size_t count, bool forward,
                 void (*then)(void *argument, enum uk_error error, const char *message),
                 void *argument);
  /* Passes the records from `offset` on to the sink, until it refuses one or the partition ends.
   * `*next` is the offset to go on from; `*full` is true if the sink refused one. */
  enum uk_error (*read)(void *context, struct uk_slice topic, int32_t partition, int64_t offset,
                        struct uk_operation *operation, const struct uk_sink *sink, int64_t *next,
                        bool *full);
};

struct uk_groups;

/* NULL when memory is out, or the system gives no random bytes. */
struct uk_groups *uk_groups_open(const struct uk_groups_log *log);
/* Precondition: no operation is pending, and the log has finished every commit. */
void uk_groups_close(struct uk_groups *groups);

/* False if uk_groups_consume would end the operation with CONFLICT as things are: the operation
 * then has its message. For a caller that would create something first. */
bool uk_groups_accepts(struct uk_groups *groups, struct uk_consume *operation);

void uk_groups_consume(struct uk_groups *groups, struct uk_consume *operation, int64_t now);
void uk_groups_commit(struct uk_groups *groups, struct uk_commit *operation, int64_t now);
void uk_groups_delete_consumer(struct uk_groups *groups, struct uk_delete_consumer *operation,
                               int64_t now);
void uk_groups_consumers(struct uk_groups *groups, struct uk_consumers *operation, int64_t now);
/* See uk_engine_methods.response_finished. */
void uk_groups_response_finished(struct uk_groups *groups, struct uk_slice group,
                                 struct uk_slice instance, uint64_t delivery,
                                 enum uk_response_outcome outcome, int64_t now);

/* See uk_engine_methods.consume_expired. */
void uk_groups_consume_expired(struct uk_groups *groups, const struct uk_consume *operation,
                               int64_t now);

/* A partition has grown; with partition -1 the topic was created, changed or deleted. */
void uk_groups_wake(struct uk_groups *groups, struct uk_slice topic, int32_t partition,
                    int64_t now);

/* The time of the next uk_groups_tick (a deadline, an auto-commit, an expiry); INT64_MAX for never.
 * Ask again after every other call: it may have made the time earlier. */
int64_t uk_groups_next_tick(struct uk_groups *groups);
void uk_groups_tick(struct uk_groups *groups, int64_t now);

/* See uk_engine_methods.drain. */
void uk_groups_drain(struct uk_groups *groups, int64_t now);

#endif
