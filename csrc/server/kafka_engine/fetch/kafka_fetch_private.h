/* kafka_fetch_private: a running fetch. kafka_fetch.c starts it; kafka_fetch_run.c moves it from
 * state to state, by the steps of kafka_fetch_read.c and kafka_fetch_wait.c, to an outcome of
 * kafka_fetch_outcome.c. */
#ifndef UK_KAFKA_FETCH_PRIVATE_H
#define UK_KAFKA_FETCH_PRIVATE_H

#include <pthread.h>

#include "server/kafka_engine/cluster/kafka_watermarks.h"
#include "server/kafka_engine/fetch/kafka_consumer_pool.h"
#include "server/kafka_engine/fetch/kafka_fetch.h"
#include "server/kafka_engine/rd/kafka_record.h"

enum { UK_FETCH_AGAIN_AFTER = 100 }; /* milliseconds until another start after one that failed */

struct uk_kafka_fetch;

struct uk_kafka_fetches {
  struct uk_kafka_fetch_parts parts;
  struct uk_kafka_consumer_pool *pool;
  struct uk_kafka_end_watch *watch;
  size_t rotation; /* atomic: the partition to read first */
  bool draining;   /* atomic */
  pthread_mutex_t mutex;
  struct uk_list running; /* under the mutex */
};

enum uk_kafka_fetch_state {
  UK_FETCH_CHECKING,   /* that the partitions exist; until `answered` */
  UK_FETCH_RECHECKING, /* the same again */
  UK_FETCH_STARTING,   /* looks at watched ends, then acquires a session */
  UK_FETCH_READING,    /* has a session */
  UK_FETCH_STOPPING,   /* gives the session back, then goes to `after` */
  UK_FETCH_ASKING,     /* for the watermarks of unsure positions; until `answered` */
  UK_FETCH_JOINING,    /* all partitions have ended: joins the waiters at their ends */
  UK_FETCH_WAITING,    /* at the ends */
  UK_FETCH_ENDING
};

struct uk_kafka_fetch {
  struct uk_kafka_task task;
  struct uk_kafka_fetches *fetches;
  struct uk_fetch *operation;
  struct uk_link link; /* among the running fetches */
  enum uk_kafka_fetch_state state, after;
  bool answered; /* atomic: the check or the watermarks have arrived */
  struct uk_kafka_check check;
  struct uk_kafka_watermarks watermarks;
  struct uk_kafka_pool_waiter waiter;
  struct uk_kafka_session *session;
  struct uk_kafka_record record;
  int64_t limit;      /* when to give up on a silent partition; after the deadline */
  int64_t not_before; /* no start before this time */
  int64_t all_at;     /* when to read all partitions, even if the first is silent */
  int64_t nudge_at;   /* when to nudge, if nothing arrives after records were taken */
  int64_t answer_at;  /* when to answer with the records so far */
  bool asked;         /* the sink was asked whether its client is alive */
  bool any;           /* the sink has taken a record */
  bool full;          /* the sink has refused a record */
  size_t count;
  struct uk_kafka_position positions[];
};

/* The run of the task. */
void uk_kafka_fetch_run(struct uk_kafka_task *task, int64_t now);

/* Checks that the partitions exist, then wakes the task. */
void uk_kafka_fetch_check(struct uk_kafka_fetch *fetch);

/* Takes the fetch out of the running ones. */
void uk_kafka_fetch_remove_running(struct uk_kafka_fetch *fetch);

/* Steps of the task. Each returns true if the fetch has another step to take at once, the one of
 * its state. */

bool uk_kafka_fetch_go(struct uk_kafka_fetch *fetch, enum uk_kafka_fetch_state state);
/* Gives the session back first. */
bool uk_kafka_fetch_stop_and_go(struct uk_kafka_fetch *fetch, enum uk_kafka_fetch_state state);
bool uk_kafka_fetch_end(struct uk_kafka_fetch *fetch);
bool uk_kafka_fetch_fail_at(struct uk_kafka_fetch *fetch, size_t index, rd_kafka_resp_err_t code);
bool uk_kafka_fetch_fail_memory(struct uk_kafka_fetch *fetch);
/* True while the cluster is away; the outcome is then set, and the caller still has to end the
 * fetch. */
bool uk_kafka_fetch_is_down(struct uk_kafka_fetch *fetch);
/* Fails after the time limit; `what` continues the position's name, as in "did not answer in
 * time". */
bool uk_kafka_fetch_fail_late(struct uk_kafka_fetch *fetch, size_t index, const char *what);
/* Ends without records at the deadline, or fails if it is unknown whether there are any. */
bool uk_kafka_fetch_end_empty(struct uk_kafka_fetch *fetch);
/* Refreshes the known topics while the fetch waits. */
void uk_kafka_fetch_refresh(const struct uk_kafka_fetch *fetch);
/* The topic of the position is not as it was known. */
bool uk_kafka_fetch_check_again(struct uk_kafka_fetch *fetch, size_t index, int64_t now);

bool uk_kafka_fetch_start(struct uk_kafka_fetch *fetch, int64_t now);
bool uk_kafka_fetch_read(struct uk_kafka_fetch *fetch, int64_t now);
bool uk_kafka_fetch_stop(struct uk_kafka_fetch *fetch);
bool uk_kafka_fetch_ask_watermarks(struct uk_kafka_fetch *fetch);
bool uk_kafka_fetch_use_watermarks(struct uk_kafka_fetch *fetch, int64_t now);
bool uk_kafka_fetch_join(struct uk_kafka_fetch *fetch, int64_t now);
bool uk_kafka_fetch_wait_there(struct uk_kafka_fetch *fetch, int64_t now);

/* Shared by the steps. */

/* True, once, when the pending answer has arrived. */
bool uk_kafka_fetch_take_answer(struct uk_kafka_fetch *fetch);
bool uk_kafka_fetch_is_draining(const struct uk_kafka_fetch *fetch);
/* The engine drains, or the client has gone. Precondition: the operation has not ended. */
bool uk_kafka_fetch_may_not_wait(const struct uk_kafka_fetch *fetch);
struct uk_operation *uk_kafka_fetch_operation_of(struct uk_kafka_fetch *fetch);
/* Gives a record to the sink of the fetch, which is the argument. False if the sink does not take
 * it. */
bool uk_kafka_fetch_give(void *argument, const struct uk_record *record);
/* The position to read first; uk_kafka_fetch_rotate moves on to the next. */
size_t uk_kafka_fetch_rotation(const struct uk_kafka_fetch *fetch);
void uk_kafka_fetch_rotate(struct uk_kafka_fetch *fetch);
/* Joins the waiters at the ends of all positions: at ends that are followed already or, with
 * `seen`, at all of them, since they were just seen. AT_END when all have joined; none has with
 * AT_PAST and AT_NOWHERE. */
enum uk_kafka_at uk_kafka_fetch_join_all(struct uk_kafka_fetch *fetch, bool seen);
void uk_kafka_fetch_leave_all(struct uk_kafka_fetch *fetch);

#endif
