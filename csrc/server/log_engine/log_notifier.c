#include "server/log_engine/log_notifier.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"
#include "server/log_engine/log_fetch.h"

/* Opening and closing. */

bool uk_log_notifier_init(struct uk_log_notifier *notifier)
{
  *notifier = (struct uk_log_notifier){.sleeps_until = INT64_MAX};
  notifier->events = calloc(UK_LOG_EVENTS, sizeof *notifier->events);
  if (notifier->events == NULL)
    return false;
  if (!uk_log_waiters_init(&notifier->waiters)) {
    free(notifier->events);
    return false;
  }
  /* These cannot fail on Linux with default attributes. */
  (void)pthread_mutex_init(&notifier->mutex, NULL);
  uk_condition_init(&notifier->work);
  uk_condition_init(&notifier->room);
  return true;
}

void uk_log_notifier_free(struct uk_log_notifier *notifier)
{
  uk_log_waiters_free(&notifier->waiters);
  free(notifier->events);
  pthread_cond_destroy(&notifier->work);
  pthread_cond_destroy(&notifier->room);
  pthread_mutex_destroy(&notifier->mutex);
}

/* Precondition: the caller holds the mutex. */
static void wake_thread(struct uk_log_notifier *notifier)
{
  notifier->woken = true;
  pthread_cond_signal(&notifier->work);
}

/* Events. */

static bool same_event(const struct uk_log_event *event, struct uk_slice topic, int32_t partition)
{
  return event->partition == partition &&
         uk_slice_equal(uk_slice_of(event->topic, event->length), topic);
}

void uk_log_notifier_changed(void *context, struct uk_slice topic, int32_t partition)
{
  struct uk_log_notifier *notifier = context;
  pthread_mutex_lock(&notifier->mutex);
  while (notifier->event_count == UK_LOG_EVENTS && !notifier->stopping)
    pthread_cond_wait(&notifier->room, &notifier->mutex);
  size_t end = notifier->event_first + notifier->event_count;
  bool known = notifier->event_count > 0 &&
               same_event(&notifier->events[(end - 1) % UK_LOG_EVENTS], topic, partition);
  if (!known && !notifier->stopping) {
    struct uk_log_event *event = &notifier->events[end % UK_LOG_EVENTS];
    event->partition = partition;
    event->length = topic.length;
    memcpy(event->topic, topic.data, topic.length);
    notifier->event_count++;
    wake_thread(notifier);
  }
  pthread_mutex_unlock(&notifier->mutex);
}

static bool next_event(struct uk_log_notifier *notifier, struct uk_log_event *event)
{
  pthread_mutex_lock(&notifier->mutex);
  bool any = notifier->event_count > 0;
  if (any) {
    *event = notifier->events[notifier->event_first];
    notifier->event_first = (notifier->event_first + 1) % UK_LOG_EVENTS;
    notifier->event_count--;
    pthread_cond_signal(&notifier->room);
  }
  pthread_mutex_unlock(&notifier->mutex);
  return any;
}

/* Fetches. */

static void finish(struct uk_log_waiter *waiter)
{
  struct uk_operation *operation = &waiter->fetch->operation;
  free(waiter);
  operation->done(operation);
}

static void finish_all(struct uk_log_waiter *waiters)
{
  while (waiters != NULL) {
    struct uk_log_waiter *next = waiters->next;
    finish(waiters);
    waiters = next;
  }
}

/* Makes the fetch wait. False when it need not or cannot. Checks once more under the mutex: records
 * that arrive now are either seen here, or find the fetch waiting. */
static bool park(struct uk_log_notifier *notifier, struct uk_log_waiter *waiter, bool *again)
{
  struct uk_operation *operation = &waiter->fetch->operation;
  bool parked = false;
  pthread_mutex_lock(&notifier->mutex);
  *again = uk_log_fetch_ready(notifier->log, waiter->fetch);
  if (!*again && !notifier->draining && !uk_operation_is_over(operation, uk_clock_monotonic())) {
    parked = uk_log_waiters_add(&notifier->waiters, waiter);
    if (!parked)
      uk_operation_fail(operation, UK_E_NO_MEMORY, "%s", "");
    else if (operation->deadline < notifier->sleeps_until)
      wake_thread(notifier);
  }
  pthread_mutex_unlock(&notifier->mutex);
  return parked;
}

static void attempt(struct uk_log_notifier *notifier, struct uk_log_waiter *waiter)
{
  bool again = uk_log_fetch_ready(notifier->log, waiter->fetch);
  if (!again && park(notifier, waiter, &again))
    return;
  if (again && waiter->fetch->operation.error == UK_OK) {
    size_t start = __atomic_load_n(&notifier->rotation, __ATOMIC_RELAXED) % waiter->count;
    if (uk_log_fetch_read(notifier->log, waiter, start) && waiter->count > 1)
      __atomic_fetch_add(&notifier->rotation, 1, __ATOMIC_RELAXED);
  }
  finish(waiter);
}

void uk_log_notifier_fetch(struct uk_log_notifier *notifier, struct uk_fetch *fetch)
{
  struct uk_log_waiter *waiter = uk_log_waiter_new(fetch);
  if (waiter != NULL) {
    attempt(notifier, waiter);
    return;
  }
  uk_operation_fail(&fetch->operation, UK_E_NO_MEMORY, "%s", "");
  fetch->operation.done(&fetch->operation);
}

void uk_log_notifier_fetch_expired(struct uk_log_notifier *notifier, const struct uk_fetch *fetch)
{
  pthread_mutex_lock(&notifier->mutex);
  struct uk_log_waiter *waiter = uk_log_waiters_take(&notifier->waiters, fetch);
  pthread_mutex_unlock(&notifier->mutex);
  finish_all(waiter);
}

static void wake_fetches(struct uk_log_notifier *notifier, struct uk_slice topic, int32_t partition)
{
  struct uk_log_waiter *woken;
  int64_t first, end = 0;
  bool topic_changed = !uk_log_bounds(notifier->log, topic, partition, &first, &end);
  pthread_mutex_lock(&notifier->mutex);
  woken = topic_changed ? uk_log_waiters_take_topic(&notifier->waiters, topic)
                        : uk_log_waiters_take_partition(&notifier->waiters, topic, partition, end);
  pthread_mutex_unlock(&notifier->mutex);
  while (woken != NULL) {
    struct uk_log_waiter *next = woken->next;
    attempt(notifier, woken);
    woken = next;
  }
}

/* The thread. */

static void wait_for_work(struct uk_log_notifier *notifier)
{
  uk_condition_wait(&notifier->work, &notifier->mutex, notifier->sleeps_until);
}

/* Sleeps until there is something to do, and takes out the expired fetches. False when the thread
 * is to stop. */
static bool sleep_on(struct uk_log_notifier *notifier, int64_t tick, struct uk_log_waiter **expired)
{
  pthread_mutex_lock(&notifier->mutex);
  int64_t deadline = uk_log_waiters_deadline(&notifier->waiters);
  notifier->sleeps_until = deadline < tick ? deadline : tick;
  while (!notifier->woken && !notifier->stopping && uk_clock_monotonic() < notifier->sleeps_until)
    wait_for_work(notifier);
  notifier->sleeps_until = INT64_MAX;
  notifier->woken = false;
  *expired = uk_log_waiters_take_expired(&notifier->waiters, uk_clock_monotonic());
  bool go_on = !notifier->stopping;
  pthread_mutex_unlock(&notifier->mutex);
  return go_on;
}

static void *run(void *argument)
{
  struct uk_log_notifier *notifier = argument;
  struct uk_log_waiter *expired;
  struct uk_log_event event;
  bool go_on = true;
  while (go_on) {
    int64_t tick = uk_groups_next_tick(notifier->groups);
    go_on = sleep_on(notifier, tick, &expired);
    finish_all(expired);
    while (next_event(notifier, &event)) {
      struct uk_slice topic = uk_slice_of(event.topic, event.length);
      wake_fetches(notifier, topic, event.partition);
      uk_groups_wake(notifier->groups, topic, event.partition, uk_clock_monotonic());
    }
    if (uk_clock_monotonic() >= tick)
      uk_groups_tick(notifier->groups, uk_clock_monotonic());
  }
  return NULL;
}

bool uk_log_notifier_start(struct uk_log_notifier *notifier, struct uk_log *log,
                           struct uk_groups *groups)
{
  notifier->log = log;
  notifier->groups = groups;
  return uk_thread_start(&notifier->thread, run, notifier);
}

void uk_log_notifier_stop(struct uk_log_notifier *notifier)
{
  pthread_mutex_lock(&notifier->mutex);
  notifier->stopping = true;
  pthread_cond_signal(&notifier->work);
  pthread_cond_broadcast(&notifier->room);
  pthread_mutex_unlock(&notifier->mutex);
  pthread_join(notifier->thread, NULL);
}

void uk_log_notifier_reschedule(struct uk_log_notifier *notifier)
{
  int64_t tick = uk_groups_next_tick(notifier->groups);
  pthread_mutex_lock(&notifier->mutex);
  if (tick < notifier->sleeps_until)
    wake_thread(notifier);
  pthread_mutex_unlock(&notifier->mutex);
}

void uk_log_notifier_drain(struct uk_log_notifier *notifier)
{
  pthread_mutex_lock(&notifier->mutex);
  notifier->draining = true;
  struct uk_log_waiter *waiters = uk_log_waiters_take_all(&notifier->waiters);
  pthread_mutex_unlock(&notifier->mutex);
  finish_all(waiters);
  uk_groups_drain(notifier->groups, uk_clock_monotonic());
}
