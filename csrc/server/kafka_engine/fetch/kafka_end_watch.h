/* kafka_end_watch: wakes fetches that wait at the end of a partition, and hands them what arrives
 * there.
 *
 * One consumer handle follows the end of every partition with waiters, once however many wait.
 * What arrives stays in memory for a moment, so a thousand fetches that wait for the same
 * record cost one read. */
#ifndef UK_KAFKA_END_WATCH_H
#define UK_KAFKA_END_WATCH_H

#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"

enum {
  UK_KAFKA_END_LINGER =
    5000, /* milliseconds that an end is followed after the last waiter has left */
  UK_KAFKA_TAIL_BYTES = 256 << 10, /* to keep of one partition */
  UK_KAFKA_TAILS_BYTES = 16 << 20  /* to keep of all partitions */
};

struct uk_kafka_end_watch;
struct uk_kafka_watched_end;

/* A place in a partition where a task waits. The caller reads `code` only. */
struct uk_kafka_end_waiter {
  struct uk_kafka_watched_end *end; /* NULL: not joined */
  struct uk_kafka_task *task;
  int64_t offset;
  rd_kafka_resp_err_t code; /* why the end was lost */
  struct uk_link link;      /* among the sleepers of the end; not linked: was woken */
};

enum uk_kafka_at {
  UK_KAFKA_AT_END,     /* nothing has arrived: the task is woken when this changes */
  UK_KAFKA_AT_RECORDS, /* records have arrived, and are in memory */
  UK_KAFKA_AT_PAST,    /* not followed, or not in memory: a session must read there */
  UK_KAFKA_AT_LOST,    /* following failed; see `code` */
  UK_KAFKA_AT_NOWHERE  /* memory ran out */
};

/* NULL when memory runs out. */
struct uk_kafka_end_watch *uk_kafka_end_watch_new(const struct uk_kafka_settings *settings,
                                                  struct uk_kafka_executor *executor,
                                                  struct uk_kafka_reaper *reaper);
/* Precondition: there are no waiters, and the executor runs. The handle goes to the reaper. */
void uk_kafka_end_watch_free(struct uk_kafka_end_watch *watch);

/* Joins, except with PAST and NOWHERE. `end` is where the partition was just seen to end, and is
 * followed from there; -1: joins only an end that is followed already. */
enum uk_kafka_at uk_kafka_end_watch_join(struct uk_kafka_end_watch *watch,
                                         struct uk_kafka_end_waiter *waiter, struct uk_slice topic,
                                         int32_t partition, int64_t offset, int64_t end,
                                         struct uk_kafka_task *task);

/* Looks again, after a join. With AT_END the task will be woken (again). */
enum uk_kafka_at uk_kafka_end_watch_look(struct uk_kafka_end_watch *watch,
                                         struct uk_kafka_end_waiter *waiter);

/* Gives the records in memory from the waiter's offset on. `give` must not call functions of this
 * module. */
void uk_kafka_end_watch_each(struct uk_kafka_end_watch *watch,
                             const struct uk_kafka_end_waiter *waiter,
                             bool (*give)(void *argument, const struct uk_record *record),
                             void *argument);

/* Leaves, if it has joined. Afterwards nothing wakes the task. */
void uk_kafka_end_watch_leave(struct uk_kafka_end_watch *watch, struct uk_kafka_end_waiter *waiter);

/* The topic is gone: what is in memory does not belong to a new one of the same name. */
void uk_kafka_end_watch_forget(struct uk_kafka_end_watch *watch, struct uk_slice topic);

#endif
