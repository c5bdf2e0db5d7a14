/* kafka_end_watch_private: shared by kafka_end_watch.c, which keeps the waiters, and
 * kafka_end_watch_task.c, which follows the ends. */
#ifndef UK_KAFKA_END_WATCH_PRIVATE_H
#define UK_KAFKA_END_WATCH_PRIVATE_H

#include <pthread.h>

#include "server/kafka_engine/fetch/kafka_end_watch.h"
#include "server/kafka_engine/fetch/kafka_tail_cache.h"
#include "server/kafka_engine/rd/kafka_record.h"

enum { UK_KAFKA_END_BUCKETS = 4096 };

/* The end of a partition. In a bucket while it is followed; freed when it is not and nobody waits
 * there. */
struct uk_kafka_watched_end {
  struct uk_link link;    /* in the bucket, then among the ends that stop */
  struct uk_link fresh;   /* among the ends that are not followed yet */
  struct uk_link touched; /* among the ends whose new records have woken no waiter yet */
  uint64_t hash;
  struct uk_kafka_tail_cache tail;
  struct uk_list sleepers;  /* their offsets are past everything that arrived */
  size_t joined;            /* sleepers, and those that were woken and have not left */
  int64_t left_at;          /* when the last waiter left */
  bool forgotten;           /* its topic is gone: to be lost */
  rd_kafka_resp_err_t code; /* why it was lost; then it is in no bucket */
  rd_kafka_topic_t *topic;  /* the task's; NULL: not followed yet */
  int32_t partition;
  size_t length;
  char name[]; /* with a NUL */
};

struct uk_kafka_end_watch {
  struct uk_kafka_task task;
  const struct uk_kafka_settings *settings;
  struct uk_kafka_reaper *reaper;

  /* The task's. */
  rd_kafka_t *handle;
  rd_kafka_queue_t *queue;
  struct uk_kafka_record record;
  struct uk_list touched;
  int64_t idle_since;

  pthread_mutex_t mutex; /* of all below, and of the ends except `topic` */
  struct uk_list *buckets;
  size_t count;
  size_t bytes;         /* in all tail caches */
  struct uk_list fresh; /* to be followed */
  bool any_forgotten;
};

/* The mutex is held. */

/* NULL if the end is not followed. */
struct uk_kafka_watched_end *uk_kafka_end_watch_find(struct uk_kafka_end_watch *watch,
                                                     struct uk_slice topic, int32_t partition);
void uk_kafka_end_watch_take_out(struct uk_kafka_end_watch *watch,
                                 struct uk_kafka_watched_end *end);
/* Wakes the sleepers whose offsets are below `offset`; INT64_MAX: all. */
void uk_kafka_end_watch_wake_below(struct uk_kafka_watched_end *end, int64_t offset);

/* The run of the task. */
void uk_kafka_end_watch_run(struct uk_kafka_task *task, int64_t now);

#endif
