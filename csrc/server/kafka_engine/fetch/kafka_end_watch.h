/* kafka_end_watch: who waits at the end of which partition, and what came there.
 *
 * One consumer handle follows the end of every partition that somebody waits for, once however many wait. The records
 * that come are kept for a moment, so that those who waited get them from memory: a thousand fetches that wait for the
 * same record cost one read of it. */
#ifndef UK_KAFKA_END_WATCH_H
#define UK_KAFKA_END_WATCH_H

#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"

enum {
  UK_KAFKA_END_LINGER =
    5000, /* milliseconds that an end is followed when nobody waits there any more */
  UK_KAFKA_TAIL_BYTES = 256 << 10, /* that are kept of one partition */
  UK_KAFKA_TAILS_BYTES = 16 << 20  /* of all */
};

struct uk_kafka_end_watch;
struct uk_kafka_watched_end;

/* A place in a partition where somebody waits. Nothing of it is the caller's but `code`. */
struct uk_kafka_end_waiter {
  struct uk_kafka_watched_end *end; /* NULL: has not joined */
  struct uk_kafka_task *task;
  int64_t offset;
  rd_kafka_resp_err_t code; /* why the end is lost */
  struct uk_link link;      /* among those that sleep at the same end; not linked: was woken */
};

enum uk_kafka_at {
  UK_KAFKA_AT_END,     /* there is nothing yet: the task is woken when this changes */
  UK_KAFKA_AT_RECORDS, /* and they are in memory */
  UK_KAFKA_AT_PAST, /* a reader must read there: the end is not followed, or what comes at the offset is not kept */
  UK_KAFKA_AT_LOST,   /* following failed: see `code` */
  UK_KAFKA_AT_NOWHERE /* memory is out */
};

/* NULL when memory is out. */
struct uk_kafka_end_watch *uk_kafka_end_watch_new(const struct uk_kafka_settings *settings,
                                                  struct uk_kafka_executor *executor,
                                                  struct uk_kafka_reaper *reaper);
/* Nobody waits any more, and the executor still runs. The handle goes to the reaper. */
void uk_kafka_end_watch_free(struct uk_kafka_end_watch *watch);

/* Joins, with PAST and NOWHERE not. `end` is where the partition was just seen to end, and is followed from there; -1:
 * joins only where the end is followed already. */
enum uk_kafka_at uk_kafka_end_watch_join(struct uk_kafka_end_watch *watch,
                                         struct uk_kafka_end_waiter *waiter, struct uk_slice topic,
                                         int32_t partition, int64_t offset, int64_t end,
                                         struct uk_kafka_task *task);

/* For one that has joined. With AT_END the task is woken (once more). */
enum uk_kafka_at uk_kafka_end_watch_look(struct uk_kafka_end_watch *watch,
                                         struct uk_kafka_end_waiter *waiter);

/* Gives the records from the offset on that are in memory; nothing of this module may be called by `give`. */
void uk_kafka_end_watch_each(struct uk_kafka_end_watch *watch,
                             const struct uk_kafka_end_waiter *waiter,
                             bool (*give)(void *argument, const struct uk_record *record),
                             void *argument);

/* Does nothing for one that has not joined. Afterwards nobody wakes the task. */
void uk_kafka_end_watch_leave(struct uk_kafka_end_watch *watch, struct uk_kafka_end_waiter *waiter);

/* The topic is gone: what is in memory of it is not the records of another of its name. */
void uk_kafka_end_watch_forget(struct uk_kafka_end_watch *watch, struct uk_slice topic);

#endif
