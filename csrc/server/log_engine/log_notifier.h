/* log_notifier: the thread of the log engine that ends waiting operations: fetches and consumes,
 * when records come or their time is over. */
#ifndef UK_LOG_NOTIFIER_H
#define UK_LOG_NOTIFIER_H

#include <pthread.h>

#include "server/groups/groups.h"
#include "server/log_engine/log.h"
#include "server/log_engine/log_waiters.h"

enum { UK_LOG_EVENTS = 1024 };

/* A partition that has grown; with partition -1 a topic that has changed. */
struct uk_log_event {
  int32_t partition;
  size_t length;
  char topic[UK_TOPIC_NAME_MAX];
};

struct uk_log_notifier {
  struct uk_log *log;
  struct uk_groups *groups;
  pthread_t thread;
  size_t rotation; /* atomic: the start of the next fetch with several positions */

  pthread_mutex_t mutex;       /* guards everything below */
  pthread_cond_t work;         /* wakes the thread */
  pthread_cond_t room;         /* there is room among the events */
  struct uk_log_event *events; /* a ring */
  size_t event_first, event_count;
  struct uk_log_waiters waiters;
  int64_t sleeps_until; /* monotonic milliseconds; INT64_MAX while the thread is awake */
  bool woken;           /* the thread must compute `sleeps_until` again */
  bool draining, stopping;
};

/* False when memory is out. `start` passes the log and the groups. */
bool uk_log_notifier_init(struct uk_log_notifier *notifier);
bool uk_log_notifier_start(struct uk_log_notifier *notifier, struct uk_log *log,
                           struct uk_groups *groups);
/* Joins the thread. Later events are dropped. */
void uk_log_notifier_stop(struct uk_log_notifier *notifier);
void uk_log_notifier_free(struct uk_log_notifier *notifier);

/* For uk_log_options.changed; `notifier` is the context. Waits while the ring is full. */
void uk_log_notifier_changed(void *notifier, struct uk_slice topic, int32_t partition);

/* Completes the fetch, now or later. */
void uk_log_notifier_fetch(struct uk_log_notifier *notifier, struct uk_fetch *fetch);
/* Ends the fetch if it waits. */
void uk_log_notifier_fetch_expired(struct uk_log_notifier *notifier, const struct uk_fetch *fetch);

/* Call it after a call of groups, which may have made their next tick earlier. */
void uk_log_notifier_reschedule(struct uk_log_notifier *notifier);

/* Completes everything that waits; from now on nothing waits. */
void uk_log_notifier_drain(struct uk_log_notifier *notifier);

#endif
