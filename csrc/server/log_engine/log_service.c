#include "server/log_engine/log_service.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"
#include "server/log_engine/log_fetch.h"

/* Life. */

bool uk_log_service_init(struct uk_log_service *service)
{
  *service = (struct uk_log_service){.sleeps_until = INT64_MAX};
  service->events = calloc(UK_LOG_EVENTS, sizeof *service->events);
  if (service->events == NULL)
    return false;
  if (!uk_log_waiters_init(&service->waiters)) {
    free(service->events);
    return false;
  }
  /* With default attributes these cannot fail on Linux. */
  (void)pthread_mutex_init(&service->mutex, NULL);
  uk_condition_init(&service->work);
  uk_condition_init(&service->room);
  return true;
}

void uk_log_service_free(struct uk_log_service *service)
{
  uk_log_waiters_free(&service->waiters);
  free(service->events);
  pthread_cond_destroy(&service->work);
  pthread_cond_destroy(&service->room);
  pthread_mutex_destroy(&service->mutex);
}

/* Called with the mutex held. */
static void kick(struct uk_log_service *service)
{
  service->kicked = true;
  pthread_cond_signal(&service->work);
}

/* Events. */

static bool same_event(const struct uk_log_event *event, struct uk_slice topic, int32_t partition)
{
  return event->partition == partition &&
         uk_slice_equal(uk_slice_of(event->topic, event->length), topic);
}

void uk_log_service_changed(void *context, struct uk_slice topic, int32_t partition)
{
  struct uk_log_service *service = context;
  pthread_mutex_lock(&service->mutex);
  while (service->event_count == UK_LOG_EVENTS && !service->stopping)
    pthread_cond_wait(&service->room, &service->mutex);
  size_t end = service->event_first + service->event_count;
  bool known = service->event_count > 0 &&
               same_event(&service->events[(end - 1) % UK_LOG_EVENTS], topic, partition);
  if (!known && !service->stopping) {
    struct uk_log_event *event = &service->events[end % UK_LOG_EVENTS];
    event->partition = partition;
    event->length = topic.length;
    memcpy(event->topic, topic.data, topic.length);
    service->event_count++;
    kick(service);
  }
  pthread_mutex_unlock(&service->mutex);
}

static bool next_event(struct uk_log_service *service, struct uk_log_event *event)
{
  pthread_mutex_lock(&service->mutex);
  bool any = service->event_count > 0;
  if (any) {
    *event = service->events[service->event_first];
    service->event_first = (service->event_first + 1) % UK_LOG_EVENTS;
    service->event_count--;
    pthread_cond_signal(&service->room);
  }
  pthread_mutex_unlock(&service->mutex);
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

/* Lets it wait. False when it need not, or cannot: it is looked at under the mutex once more, so that records which come
 * meanwhile either show here or find it waiting. */
static bool park(struct uk_log_service *service, struct uk_log_waiter *waiter, bool *again)
{
  struct uk_operation *operation = &waiter->fetch->operation;
  bool parked = false;
  *again = false;
  pthread_mutex_lock(&service->mutex);
  if (uk_log_fetch_ready(service->log, waiter->fetch)) {
    *again = operation->error == UK_OK;
  } else if (!service->draining && operation->deadline > uk_clock_monotonic()) {
    parked = uk_log_waiters_add(&service->waiters, waiter);
    if (!parked)
      uk_operation_fail(operation, UK_E_NO_MEMORY, "%s", "");
    else if (operation->deadline < service->sleeps_until)
      kick(service);
  }
  pthread_mutex_unlock(&service->mutex);
  return parked;
}

static void attempt(struct uk_log_service *service, struct uk_log_waiter *waiter)
{
  bool again = uk_log_fetch_ready(service->log, waiter->fetch);
  if (!again && park(service, waiter, &again))
    return;
  if (again && waiter->fetch->operation.error == UK_OK) {
    size_t start = __atomic_load_n(&service->rotation, __ATOMIC_RELAXED) % waiter->count;
    if (uk_log_fetch_read(service->log, waiter, start) && waiter->count > 1)
      __atomic_fetch_add(&service->rotation, 1, __ATOMIC_RELAXED);
  }
  finish(waiter);
}

void uk_log_service_fetch(struct uk_log_service *service, struct uk_fetch *fetch)
{
  fetch->operation.error = UK_OK;
  fetch->operation.message[0] = '\0';
  struct uk_log_waiter *waiter = uk_log_waiter_new(fetch);
  if (waiter != NULL) {
    attempt(service, waiter);
    return;
  }
  uk_operation_fail(&fetch->operation, UK_E_NO_MEMORY, "%s", "");
  fetch->operation.done(&fetch->operation);
}

static void wake_fetches(struct uk_log_service *service, struct uk_slice topic, int32_t partition)
{
  struct uk_log_waiter *woken;
  int64_t first, end = 0;
  bool topic_changed =
    partition < 0 || !uk_log_bounds(service->log, topic, partition, &first, &end);
  pthread_mutex_lock(&service->mutex);
  woken = topic_changed ? uk_log_waiters_take_topic(&service->waiters, topic)
                        : uk_log_waiters_take_partition(&service->waiters, topic, partition, end);
  pthread_mutex_unlock(&service->mutex);
  while (woken != NULL) {
    struct uk_log_waiter *next = woken->next;
    attempt(service, woken);
    woken = next;
  }
}

/* The thread. */

static void wait_for_work(struct uk_log_service *service)
{
  uk_condition_wait(&service->work, &service->mutex, service->sleeps_until);
}

/* Sleeps until there is something to do; takes out the fetches whose time has come. False when it is to stop. */
static bool sleep_on(struct uk_log_service *service, int64_t tick, struct uk_log_waiter **expired)
{
  pthread_mutex_lock(&service->mutex);
  int64_t deadline = uk_log_waiters_deadline(&service->waiters);
  service->sleeps_until = deadline < tick ? deadline : tick;
  while (!service->kicked && !service->stopping && uk_clock_monotonic() < service->sleeps_until)
    wait_for_work(service);
  service->sleeps_until = INT64_MAX;
  service->kicked = false;
  *expired = uk_log_waiters_take_expired(&service->waiters, uk_clock_monotonic());
  bool go_on = !service->stopping;
  pthread_mutex_unlock(&service->mutex);
  return go_on;
}

static void *run(void *argument)
{
  struct uk_log_service *service = argument;
  struct uk_log_waiter *expired;
  struct uk_log_event event;
  bool go_on = true;
  while (go_on) {
    int64_t tick = uk_groups_next_tick(service->groups);
    go_on = sleep_on(service, tick, &expired);
    finish_all(expired);
    while (next_event(service, &event)) {
      struct uk_slice topic = uk_slice_of(event.topic, event.length);
      wake_fetches(service, topic, event.partition);
      uk_groups_wake(service->groups, topic, event.partition, uk_clock_monotonic());
    }
    if (uk_clock_monotonic() >= tick)
      uk_groups_tick(service->groups, uk_clock_monotonic());
  }
  return NULL;
}

bool uk_log_service_start(struct uk_log_service *service, struct uk_log *log,
                          struct uk_groups *groups)
{
  service->log = log;
  service->groups = groups;
  return uk_thread_start(&service->thread, run, service);
}

void uk_log_service_stop(struct uk_log_service *service)
{
  pthread_mutex_lock(&service->mutex);
  service->stopping = true;
  pthread_cond_signal(&service->work);
  pthread_cond_broadcast(&service->room);
  pthread_mutex_unlock(&service->mutex);
  pthread_join(service->thread, NULL);
}

void uk_log_service_settle(struct uk_log_service *service)
{
  int64_t tick = uk_groups_next_tick(service->groups);
  pthread_mutex_lock(&service->mutex);
  if (tick < service->sleeps_until)
    kick(service);
  pthread_mutex_unlock(&service->mutex);
}

void uk_log_service_drain(struct uk_log_service *service)
{
  pthread_mutex_lock(&service->mutex);
  service->draining = true;
  struct uk_log_waiter *waiters = uk_log_waiters_take_all(&service->waiters);
  pthread_mutex_unlock(&service->mutex);
  finish_all(waiters);
  uk_groups_drain(service->groups, uk_clock_monotonic());
}
