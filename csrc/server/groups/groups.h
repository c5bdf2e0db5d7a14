/* groups: consumer groups for an engine that has none: live instances, their partitions, positions, commits.
 *
 * Pure bookkeeping over a `uk_groups_log`: no thread, no clock and no I/O of its own. The owner brings the time
 * (`now`, monotonic milliseconds) with every call, calls uk_groups_tick when uk_groups_next_tick says so, and
 * uk_groups_wake when a partition has grown. All calls may come from any thread.
 *
 * One lock guards the bookkeeping. `read`, `commit`, `is_client_alive`, `record` and `done` are called without it, by whichever thread's
 * call made them due, before that call returns: a wake reads and answers for all whom it wakes. `owned` of a
 * uk_consumers is called under it and may not call back into groups. */
#ifndef UK_GROUPS_H
#define UK_GROUPS_H

#include "server/engine/engine.h"

/* What groups needs of the log below. All but `commit` answer at once, from memory or page cache. `partitions`,
 * `bounds` and `committed` are called with the lock held, and must not call groups or wait for who does. */
struct uk_groups_log {
  void *context;
  /* Partitions of the topic, or 0 when there is no such topic. `topic_id` tells a topic from a later one of the same name. */
  int32_t (*partitions)(void *context, struct uk_slice topic, uint64_t *topic_id);
  /* First kept offset and end offset (one past the last). False when the topic or partition is gone. */
  bool (*bounds)(void *context, struct uk_slice topic, int32_t partition, int64_t *first,
                 int64_t *end);
  /* The committed offset of the group, -1 when there is none. */
  enum uk_error (*committed)(void *context, struct uk_slice group, struct uk_slice topic,
                             int32_t partition, int64_t *offset);
  /* Starts committing: copies what it needs before it returns, and calls back once, possibly before it
   * returns, when the offsets are durable or refused. Called by one thread at a time; commits take effect in the
   * order of the calls. `then` may be NULL. */
  void (*commit)(void *context, struct uk_slice group,
                 const struct uk_topic_partition_offset *offsets, size_t count,
                 void (*then)(void *argument, enum uk_error error, const char *message),
                 void *argument);
  /* Hands the records from `offset` on to the sink until it refuses one or the partition ends. `*next` is
   * the offset to go on from; `*full` whether the sink refused. */
  enum uk_error (*read)(void *context, struct uk_slice topic, int32_t partition, int64_t offset,
                        struct uk_operation *operation, const struct uk_sink *sink, int64_t *next,
                        bool *full);
};

struct uk_groups;

/* NULL when memory is out. */
struct uk_groups *uk_groups_open(const struct uk_groups_log *log);
/* With no operation in its hands, and no commit in those of the log: the log finishes first. */
void uk_groups_close(struct uk_groups *groups);

void uk_groups_consume(struct uk_groups *groups, struct uk_consume *operation, int64_t now);
void uk_groups_commit(struct uk_groups *groups, struct uk_commit *operation, int64_t now);
void uk_groups_delete_consumer(struct uk_groups *groups, struct uk_delete_consumer *operation,
                               int64_t now);
void uk_groups_consumers(struct uk_groups *groups, struct uk_consumers *operation, int64_t now);
void uk_groups_undelivered(struct uk_groups *groups, struct uk_slice group,
                           struct uk_slice instance, uint64_t delivery, int64_t now);

/* A partition has grown, or the topic was created, changed or deleted (partition -1). */
void uk_groups_wake(struct uk_groups *groups, struct uk_slice topic, int32_t partition,
                    int64_t now);

/* When uk_groups_tick is next needed (a deadline, an auto-commit, an expiry): a time, or INT64_MAX for never. A call
 * that may have made it earlier returns to an owner that asks again. */
int64_t uk_groups_next_tick(struct uk_groups *groups);
void uk_groups_tick(struct uk_groups *groups, int64_t now);

/* See uk_engine_methods.drain. */
void uk_groups_drain(struct uk_groups *groups, int64_t now);

#endif
