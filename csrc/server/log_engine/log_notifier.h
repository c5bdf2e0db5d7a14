/* log_notifier: the thread of the log engine that ends what waits: fetches and groups, by records or by time. */
#ifndef UK_LOG_NOTIFIER_H
#define UK_LOG_NOTIFIER_H

#include <pthread.h>

#include "server/groups/groups.h"
#include "server/log_engine/log.h"
#include "server/log_engine/log_waiters.h"

enum { UK_LOG_EVENTS = 1024 };

/* A partition that grew, or (-1) a topic that changed. */
struct uk_log_event {
  int32_t partition;
  size_t length;
  char topic[UK_TOPIC_NAME_MAX];
};

struct uk_log_notifier {
  struct uk_log *log;
  struct uk_groups *groups;
  pthread_t thread;
  size_t rotation; /* atomic: where the next fetch of several positions begins */

  pthread_mutex_t mutex;       /* of all below */
  pthread_cond_t work;         /* for the thread */
  pthread_cond_t room;         /* among the events */
  struct uk_log_event *events; /* a ring */
  size_t event_first, event_count;
  struct uk_log_waiters waiters;
  int64_t sleeps_until; /* monotonic; INT64_MAX while the thread is awake */
  bool woken;           /* the thread is to look again at what it sleeps until */
  bool draining, stopping;
};

/* False when memory or threads are out. The log and the groups come with start. */
bool uk_log_notifier_init(struct uk_log_notifier *notifier);
bool uk_log_notifier_start(struct uk_log_notifier *notifier, struct uk_log *log,
                           struct uk_groups *groups);
void uk_log_notifier_stop(struct uk_log_notifier *notifier); /* joins; later events are dropped */
void uk_log_notifier_free(struct uk_log_notifier *notifier);

/* What uk_log_options.changed calls; `notifier` is the context. Waits while the ring is full. */
void uk_log_notifier_changed(void *notifier, struct uk_slice topic, int32_t partition);

/* Ends the fetch, now or later. */
void uk_log_notifier_fetch(struct uk_log_notifier *notifier, struct uk_fetch *fetch);

/* A call of groups may have brought their next tick forward. */
void uk_log_notifier_reschedule(struct uk_log_notifier *notifier);

/* Ends all that wait; from now on nothing does. */
void uk_log_notifier_drain(struct uk_log_notifier *notifier);

#endif
