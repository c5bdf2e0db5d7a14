/* kafka_fetch_private: a fetch on its way. kafka_fetch.c takes it in hand, kafka_fetch_run.c moves it on: by steps of
 * kafka_fetch_read.c and kafka_fetch_wait.c to an outcome of kafka_fetch_outcome.c. */
#ifndef UK_KAFKA_FETCH_PRIVATE_H
#define UK_KAFKA_FETCH_PRIVATE_H

#include <pthread.h>

#include "server/kafka_engine/cluster/kafka_watermarks.h"
#include "server/kafka_engine/fetch/kafka_consumer_pool.h"
#include "server/kafka_engine/fetch/kafka_fetch.h"
#include "server/kafka_engine/rd/kafka_record.h"

enum { UK_FETCH_AGAIN_AFTER = 100 }; /* milliseconds until a start after one that failed */

struct uk_kafka_fetch;

struct uk_kafka_fetches {
  struct uk_kafka_fetch_parts parts;
  struct uk_kafka_consumer_pool *pool;
  struct uk_kafka_end_watch *watch;
  size_t rotation; /* atomic: which partition is read first */
  bool draining;   /* atomic */
  pthread_mutex_t mutex;
  struct uk_list running; /* under the mutex */
};

enum uk_kafka_fetch_state {
  UK_FETCH_CHECKING,   /* whether the partitions exist; until `answered` */
  UK_FETCH_RECHECKING, /* asks that once more */
  UK_FETCH_STARTING,   /* looks at the ends that are followed, then for a reader */
  UK_FETCH_READING,    /* has a session */
  UK_FETCH_STOPPING,   /* gives the session back, and goes on in `after` */
  UK_FETCH_ASKING,     /* for the watermarks of positions that are unsure; until `answered` */
  UK_FETCH_JOINING,    /* all partitions have ended: those who wait at their ends */
  UK_FETCH_WAITING,    /* there */
  UK_FETCH_ENDING
};

struct uk_kafka_fetch {
  struct uk_kafka_task task;
  struct uk_kafka_fetches *fetches;
  struct uk_fetch *operation;
  struct uk_link link; /* among those that run */
  enum uk_kafka_fetch_state state, after;
  bool answered; /* atomic: the check or the watermarks that were asked for is there */
  struct uk_kafka_check check;
  struct uk_kafka_watermarks watermarks;
  struct uk_kafka_pool_waiter waiter;
  struct uk_kafka_session *session;
  struct uk_kafka_record record;
  int64_t limit;      /* when a partition that was not heard of is given up; after the deadline */
  int64_t not_before; /* the next start */
  int64_t all_at;     /* when all partitions are read, whatever the first has to say */
  int64_t nudge_at;   /* when what was taken may be why nothing comes */
  int64_t answer_at;  /* once there are records: when they are answered, whatever is missing */
  bool asked;         /* whether it is wanted */
  bool any;           /* the sink took a record */
  bool full;          /* the sink refused one */
  size_t count;
  struct uk_kafka_position positions[];
};

/* What the task runs. */
void uk_kafka_fetch_run(struct uk_kafka_task *task, int64_t now);

/* Asks whether the partitions are there; wakes the task. */
void uk_kafka_fetch_check(struct uk_kafka_fetch *fetch);

/* The fetch is not in hand any more. */
void uk_kafka_fetch_let_go(struct uk_kafka_fetch *fetch);

/* Steps of the task. Each says whether the fetch has a step to do at once: the one that its state names. */

bool uk_kafka_fetch_go(struct uk_kafka_fetch *fetch, enum uk_kafka_fetch_state state);
/* By way of giving back the session. */
bool uk_kafka_fetch_stop_and_go(struct uk_kafka_fetch *fetch, enum uk_kafka_fetch_state state);
bool uk_kafka_fetch_end(struct uk_kafka_fetch *fetch);
bool uk_kafka_fetch_fail_at(struct uk_kafka_fetch *fetch, size_t index, rd_kafka_resp_err_t code);
bool uk_kafka_fetch_fail_memory(struct uk_kafka_fetch *fetch);
/* Whether the cluster is not there, which is the outcome then: the fetch is still to be ended. */
bool uk_kafka_fetch_is_down(struct uk_kafka_fetch *fetch);
/* The time is up, and of the position `what` is so: "did not answer in time". */
bool uk_kafka_fetch_fail_late(struct uk_kafka_fetch *fetch, size_t index, const char *what);
/* The time is up, and there is nothing: an answer, unless nobody can know. */
bool uk_kafka_fetch_end_empty(struct uk_kafka_fetch *fetch);
/* Keeps what is known of the topics fresh while the fetch waits. */
void uk_kafka_fetch_refresh(const struct uk_kafka_fetch *fetch);
/* The topic of the position is not what it was taken for. */
bool uk_kafka_fetch_check_again(struct uk_kafka_fetch *fetch, size_t index, int64_t now);

bool uk_kafka_fetch_start(struct uk_kafka_fetch *fetch, int64_t now);
bool uk_kafka_fetch_read(struct uk_kafka_fetch *fetch, int64_t now);
bool uk_kafka_fetch_stop(struct uk_kafka_fetch *fetch);
bool uk_kafka_fetch_ask_watermarks(struct uk_kafka_fetch *fetch);
bool uk_kafka_fetch_use_watermarks(struct uk_kafka_fetch *fetch, int64_t now);
bool uk_kafka_fetch_join(struct uk_kafka_fetch *fetch, int64_t now);
bool uk_kafka_fetch_wait_there(struct uk_kafka_fetch *fetch, int64_t now);

/* What they share. */

/* What was asked for is there; it is taken once. */
bool uk_kafka_fetch_take_answer(struct uk_kafka_fetch *fetch);
bool uk_kafka_fetch_is_draining(const struct uk_kafka_fetch *fetch);
struct uk_operation *uk_kafka_fetch_operation_of(struct uk_kafka_fetch *fetch);
/* A record for the sink of the fetch, which is the argument. False when it does not take it. */
bool uk_kafka_fetch_give(void *argument, const struct uk_record *record);
/* The position that has its turn to be read first, and on to the next. */
size_t uk_kafka_fetch_rotation(const struct uk_kafka_fetch *fetch);
void uk_kafka_fetch_rotate(struct uk_kafka_fetch *fetch);
/* Waits at the ends of all positions: those that are followed already, and with `seen` all, since they were just seen.
 * AT_END when all have joined; with AT_PAST and AT_NOWHERE none has. */
enum uk_kafka_at uk_kafka_fetch_join_all(struct uk_kafka_fetch *fetch, bool seen);
void uk_kafka_fetch_leave_all(struct uk_kafka_fetch *fetch);

#endif
